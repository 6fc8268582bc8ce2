"""The small servers with programs that speak to them: a password is changed, people are looked up, somebody is told of."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.site import PASSWORD, USER, Site, free_ports, need, run

NEW_PASSWORD = "quite another 7 words"

#: Debian's poppass-cgi, which has the port 106 in its source and takes no new password with a space.
POPPASS_CGI = Path("/usr/lib/cgi-bin/poppass")
ONE_WORD = "quite-another-7-words"

#: What has it call another port, and is all that is changed of it.
OTHER_PORT = """
package OtherPort;
use IO::Socket::INET;
no warnings 'redefine';
my $new = \\&IO::Socket::INET::new;
*IO::Socket::INET::new = sub { my ($class, %how) = @_; $how{PeerPort} = $ENV{OTHER_PORT}; $new->($class, %how) };
1;
"""

BOOK = "name,email,phone\nAnn Smith,ann@example.com,555 1\nBob Smith,bob@example.com,555 2\nAl Miller,al@example.com,555 3\n"

SECTIONS = """
[poppass]
listen = 127.0.0.1:{poppass}

[finger]
listen = 127.0.0.1:{finger}

[phonebook]
listen = 127.0.0.1:{phonebook}
books = people.csv
"""


class SmallServerTests(SynchronousTestCase):
    """One site with all of them."""

    skip = need("curl", "lynx")

    def setUp(self) -> None:
        """Start it."""
        self.ports = dict(zip(("poppass", "finger", "phonebook"), free_ports(3), strict=True))
        self.site = Site(SECTIONS.format(**self.ports))
        self.addCleanup(self.site.close)
        data = self.site.config.parent / "data"
        (data / "people.csv").write_text(BOOK)
        (data / "finger").mkdir()
        (data / "finger" / f"{USER}.txt").write_text("Gone fishing.\n")
        self.site.start()

    def talk(self, service: str, *lines: str) -> list[str]:
        """What a service answers to lines that end in LF alone."""
        # The file ends, and the server closes: curl then has heard everything.
        done = run(
            "curl", "-s", f"telnet://127.0.0.1:{self.ports[service]}", stdin="".join(f"{line}\n" for line in lines)
        )
        return [str(line) for line in done.stdout.decode().splitlines()]

    def fetch(self, password: str) -> int:
        """The exit status of a login by POP3; curl has 67 for a login that is refused."""
        address = f"pop3://127.0.0.1:{self.site.ports['pop3']}/"
        return run("curl", "-s", "-k", "--ssl-reqd", "--user", f"{USER}:{password}", address, check=False).returncode

    def test_password(self) -> None:
        """After the dialogue of the reference daemon the new password counts, and the old one does not."""
        answers = self.talk("poppass", f"user {USER}", f"pass {PASSWORD}", f"newpass {NEW_PASSWORD}", "quit")
        self.assertEqual([answer[:3] for answer in answers], ["200"] * 5)
        self.assertEqual(self.fetch(NEW_PASSWORD), 0)
        self.assertEqual(self.fetch(PASSWORD), 67)

    def change_by_page(self, password: str, new: str) -> str:
        """What poppass-cgi answers to its form."""
        fields = {"host": "127.0.0.1", "username": USER, "password": password, "newpassword1": new, "newpassword2": new}
        form = urlencode(fields)
        (self.site.root / "OtherPort.pm").write_text(OTHER_PORT)
        environment = (
            f"OTHER_PORT={self.ports['poppass']}",
            "REQUEST_METHOD=POST",
            "CONTENT_TYPE=application/x-www-form-urlencoded",
            f"CONTENT_LENGTH={len(form)}",
        )
        command = ("perl", f"-I{self.site.root}", "-MOtherPort", POPPASS_CGI)
        return run("env", *environment, *command, stdin=form).stdout.decode()

    def test_password_page(self) -> None:
        """The page of Debian's poppass-cgi changes a password, and shows why it was not changed."""
        self.assertIn("Name or password is wrong", self.change_by_page("wrong", ONE_WORD))
        self.assertIn("at least 10 characters", self.change_by_page(PASSWORD, "too-short"))
        self.assertIn("Password Changed Successfully", self.change_by_page(PASSWORD, ONE_WORD))
        self.assertEqual((self.fetch(ONE_WORD), self.fetch(PASSWORD)), (0, 67))

    test_password_page.skip = (  # type: ignore[attr-defined]
        None if POPPASS_CGI.exists() else "not installed: poppass-cgi (.ci/run installs it)"
    )

    def test_finger(self) -> None:
        """Somebody with a profile is told of."""
        answer = self.talk("finger", USER)
        self.assertTrue(answer[0].startswith(f"Login: {USER}"))
        self.assertEqual(answer[-1], "Gone fishing.")

    def test_form_of_lynx(self) -> None:
        """A browser makes a form of the fields, and a query of the form."""
        address = f"cso://127.0.0.1:{self.ports['phonebook']}/"
        form = run("lynx", "-dump", address).stdout.decode()
        self.assertIn("Full name*", form)
        query = "q_2=smith&return=all\n---\n"
        found = run("lynx", "-dump", "-post_data", address, stdin=query).stdout.decode()
        self.assertIn("There were 2 matches", found)
        self.assertIn("ann@example.com", found)
        self.assertNotIn("al@example.com", found)

    def test_ph(self) -> None:
        """What the UIUC client says, in its order."""
        answers = self.talk("phonebook", "id 0", "siteinfo", "query miller return email", "quit")
        self.assertIn("-200:1:maildomain:example.org", answers)
        self.assertIn("-200:1:email: al@example.com", answers)
        self.assertEqual(answers[-1], "200:Bye!")
