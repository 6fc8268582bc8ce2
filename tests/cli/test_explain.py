"""Tests of ``hermes explain``: what would happen, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hermes.mailbox.store import Mailboxes
from tests.support.command import CommandTestCase

_ACCESS = """
[access:foes]
addresses = 203.0.113.0/24
action = refuse
text = Not from there

[access:friends]
addresses = 203.0.113.10-203.0.113.20, 2001:db8:1::/48
relay = yes
exempt = yes

[access:readers]
addresses = 198.51.100.0/24
action = refuse
servers = pop3

[access:guest]
addresses = 192.0.2.20

[smtp]
relay_networks = 192.0.2.0/28
"""

#: Every form in which a server has been asked to send on what it should not, as it stands behind RCPT TO.
_TRICKS = (
    "x@example.net",
    "x%example.net",
    "x%example.net@example.org",
    "x%example.net%example.org@example.org",
    "x%example.net@[192.0.2.99]",
    "x%example.net@mail.example.org",
    "example.net!x",
    "example.net!x@example.org",
    "example.org!example.net!x",
    "example.net!x@[192.0.2.99]",
    "x@example.net@example.org",
    "x@example.org@example.net",
    "@example.net@example.org",
    '"x@example.net"',
    '"x@example.net"@example.org',
    '"x%example.net"@example.org',
    '"example.net!x"@example.org',
    '"@example.net:x"@example.org',
    "<@example.org:x@example.net>",
    "<@example.org,@example.com:x@example.net>",
    "<@example.net:nobody@example.org>",
    "<@example.org:x%example.net@example.org>",
    "x@[192.0.2.99]",
    "x@[IPv6:2001:db8::99]",
    "x@127.0.0.1",
    "x@localhost",
    "x@example.org.",
    "x@example.org.example.net",
    "x@.example.org",
    "x@example.org:25",
    "x@example.net,anna@example.org",
    "anna@example.org,x@example.net",
    "x@example.net>,<anna@example.org",
    "anna@example.org x@example.net",
    "anna@example.org> <x@example.net",
    "anna@",
    "@example.org",
    "@",
    "",
    " ",
    "anna",
    "root",
    "postmaster@example.net",
    "postmaster%example.net@example.org",
    "<postmaster@example.net@example.org>",
    "<@example.org:postmaster@example.net>",
    "<x@example.net",
    "x@example.net;anna@example.org",
    "x=example.net@example.org",
    "anna@example.org\\@example.net",
    "x@xn--example-.net",
)


class ExplainTests(CommandTestCase):
    """A site with anna, and connection control."""

    def setUp(self) -> None:
        """Make it; nothing may be made beside it."""
        self.config = self.site(_ACCESS)
        self.run_hermes("user", "add", "-c", self.config, "anna", "--generate")
        self.before = self.files()
        self.addCleanup(self.nothing_written)

    def nothing_written(self) -> None:
        """Whatever was asked, nothing has been written."""
        self.assertEqual(self.files(), self.before)

    def files(self) -> list[str]:
        """Everything there is."""
        return sorted(map(str, Path(self.config).parent.rglob("*")))

    def steps(self, *words: str, exit_code: int = 0) -> list[dict[str, Any]]:
        """All stages."""
        steps: list[dict[str, Any]] = self.run_json("explain", "-c", self.config, *words, exit_code=exit_code)
        return steps

    def line(self, text: str) -> int:
        """Where that stands in the configuration."""
        return Path(self.config).read_text().splitlines().index(text) + 1

    def test_transcript(self) -> None:
        """Every stage is told with its answer, its rule, and the places of what decides."""
        words = ("--ip", "203.0.113.12", "--helo", "pc.example.com", "--from", "a@example.com")
        result = self.run_hermes(
            "explain", "-c", self.config, *words, "--to", "anna@example.org", "--to", "x@example.net", exit_code=1
        )
        config, data = self.config, Path(self.config).parent / "data"
        self.assertEqual(
            result.stdout.splitlines(),
            [
                "connect 203.0.113.12: 220 Connection accepted",
                "    rule access.friends: [access:friends] allows 203.0.113.12, without [limits]",
                f"    see  {config}:{self.line('addresses = 203.0.113.10-203.0.113.20, 2001:db8:1::/48')}"
                " [access:friends] addresses",
                "hello pc.example.com: 250 Hello pc.example.com",
                "sender <a@example.com>: 250 2.0.0 Ok",
                "recipient <anna@example.org>: 250 2.0.0 Ok",
                "    goes to local:anna, account anna",
                "    rule local",
                f"    see  {config}:{self.line('domains = example.org')} [hermes] domains",
                f"    see  {data}/accounts.ini",
                "recipient <x@example.net>: 550 5.4.4 There is no way to send mail to that address from here",
                "    rule relay.no_route: no way out is configured: this server sends nothing to other domains",
                f"    see  {config} [smarthost] host (default)",
                f"    see  {config} [direct] enabled (default)",
            ],
        )

    def test_directory_services(self) -> None:
        """Where accounts are is told of directory services, too, in the order in which they are asked."""
        servers = "servers = ldaps://127.0.0.1:1"
        with open(self.config, "a") as file:
            file.write(f"\n[ldap:acme]\n{servers}\nbase = o=acme\n")
        (recipient,) = [step for step in self.steps("--to", "anna@example.org") if step["stage"] == "recipient"]
        self.assertEqual(recipient["because"][-1], f"{self.config}:{self.line(servers)} [ldap:acme] servers")

    def test_refused_at_connect(self) -> None:
        """A refusal ends it there, and names the lines of the entry; other servers say it in their own words."""
        (step,) = self.steps("--ip", "203.0.113.9", "--to", "anna@example.org", exit_code=1)
        self.assertEqual((step["reply"], step["rule"]), ("554 5.7.1 Not from there", "access.foes"))
        self.assertEqual(step["because"][0], f"{self.config}:{self.line('[access:foes]') + 1} [access:foes] addresses")
        (step,) = self.steps("--ip", "203.0.113.9", "--server", "pop3", exit_code=1)
        self.assertEqual(step["reply"], "-ERR [SYS/PERM] Not from there")
        (step,) = self.steps("--ip", "198.51.100.7", "--server", "pop3", exit_code=1)
        self.assertEqual(step["rule"], "access.readers")
        for server in ("submission", "lmtp"):
            (step,) = self.steps("--ip", "203.0.113.9", "--server", server, exit_code=1)
            self.assertEqual(step["rule"], "access.foes", server)

    def test_let_in(self) -> None:
        """Who is in no entry, or in one that allows, comes in, whatever form the address has."""
        self.assertEqual([step["stage"] for step in self.steps("--ip", "192.0.2.99")], ["connect", "hello"])
        self.assertEqual(self.steps("--ip", "192.0.2.99")[1]["said"], "[192.0.2.99]")
        for ip, rule in (
            ("::ffff:203.0.113.12", "access.friends"),
            ("2001:db8:1::5%eth0", "access.friends"),
            ("::1", "default"),
        ):
            self.assertEqual(self.steps("--ip", ip)[0]["rule"], rule, ip)
        (step,) = self.steps("--ip", "192.0.2.99", "--server", "pop3")
        self.assertEqual(step["reply"], "+OK Connection accepted")

    def test_metrics(self) -> None:
        """The metrics are for this machine and whom an entry allows; for others no entry is a refusal."""
        (step,) = self.steps("--ip", "192.0.2.99", "--server", "metrics", exit_code=1)
        self.assertEqual((step["rule"], step["reason"]), ("metrics.stranger", "no [access:NAME] allows 192.0.2.99"))
        for ip, rule in (("192.0.2.20", "access.guest"), ("127.0.0.1", "default")):
            (step,) = self.steps("--ip", ip, "--server", "metrics")
            self.assertEqual(step["rule"], rule)

    def test_chosen_smarthost(self) -> None:
        """Which smart host takes the message, by which of its settings, and what comes after it."""
        more = (
            "[smarthost:backup]\nhost = backup.example.com\n"
            "[smarthost:sales]\nhost = smtp.example.com\nsenders = sales@example.org\nfallback = backup\n"
            "[smarthost]\nhost = relay.example.com\n"
        )
        Path(self.config).write_text(Path(self.config).read_text() + more)
        words = ("--ip", "192.0.2.1", "--to", "x@example.net", "--from")
        step = self.steps(*words, "sales@example.org")[-1]
        self.assertEqual(step["destination"], "smarthost:sales")
        sales = self.line("[smarthost:sales]")
        self.assertEqual(
            step["because"][-3:],
            [
                f"{self.config}:{sales + 2} [smarthost:sales] senders",
                f"{self.config}:{sales + 1} [smarthost:sales] host",
                f"{self.config}:{sales + 3} [smarthost:sales] fallback",
            ],
        )
        step = self.steps(*words, "anna@example.org")[-1]
        self.assertEqual(step["destination"], "smarthost:default")
        self.assertTrue(step["because"][-1].endswith("[smarthost] host"), step)

    def test_relaying(self) -> None:
        """What gives the right to relay is named with its line, and the way the mail would go."""
        self.run_hermes("config", "set", "-c", self.config, "smarthost.host", "smtp.example.com")
        self.before = self.files()
        for ip, rule, place in (
            ("192.0.2.7", "smtp.relay_networks", "[smtp] relay_networks"),
            ("203.0.113.20", "access.friends", "[access:friends] addresses"),
        ):
            step = self.steps("--ip", ip, "--to", "x@example.net")[-1]
            self.assertEqual((step["accepted"], step["rule"], step["destination"]), (True, rule, "smarthost:default"))
            self.assertTrue(step["because"][0].endswith(place), step)
            self.assertTrue(step["because"][-1].endswith("[smarthost] host"), step)
        step = self.steps("--ip", "192.0.2.16", "--to", "x@example.net", exit_code=1)[-1]
        self.assertEqual((step["rule"], step["destination"]), ("relay.denied", ""))
        self.assertIn(
            f"{self.config}:{self.line('relay_networks = 192.0.2.0/28')} [smtp] relay_networks", step["because"]
        )
        # An entry that decides about the peer, and does not say relay, is named as well.
        step = self.steps("--ip", "192.0.2.20", "--to", "x@example.net", exit_code=1)[-1]
        self.assertEqual(
            step["because"][-1], f"{self.config}:{self.line('addresses = 192.0.2.20')} [access:guest] addresses"
        )

    def test_recipients(self) -> None:
        """Several recipients are answered one by one: accounts, details, the postmaster, nobody, and a full mailbox."""
        steps = self.steps(
            *(
                "--ip",
                "192.0.2.99",
                "--to",
                "Anna+list@example.org",
                "--to",
                "postmaster",
                "--to",
                "nobody@example.org",
            ),
            exit_code=1,
        )[3:]
        self.assertEqual([step["account"] for step in steps], ["anna", "anna", ""])
        self.assertEqual([step["rule"] for step in steps], ["local", "local", "relay.unknown_user"])

    def test_quota(self) -> None:
        """A mailbox without room for the message refuses it, as the server would."""
        self.run_hermes("config", "set", "-c", self.config, "mailbox.quota", "1M")
        self.before = self.files()
        words = ("--ip", "192.0.2.99", "--to", "anna@example.org", "--size")
        self.assertTrue(self.steps(*words, "1M")[-1]["accepted"])
        step = self.steps(*words, "1025K", exit_code=1)[-1]
        self.assertEqual((step["rule"], step["reply"][:9], step["account"]), ("mailbox.quota", "552 5.2.3", "anna"))
        self.assertEqual(self.steps(*words, "51M", exit_code=1)[-1]["rule"], "size.declared")

    def test_submission(self) -> None:
        """Where a login is needed, who has none comes as far as MAIL."""
        steps = self.steps("--ip", "192.0.2.7", "--server", "submission", "--to", "anna@example.org", exit_code=1)
        self.assertEqual([step["stage"] for step in steps], ["connect", "hello", "sender"])
        self.assertEqual((steps[-1]["rule"], steps[-1]["reply"]), ("auth.required", "530 5.7.0 Log in first"))

    def test_protocol(self) -> None:
        """What the protocol itself refuses is refused here as well; addresses outside ASCII are asked for with SMTPUTF8."""
        self.assertEqual(self.steps("--ip", "192.0.2.7", "--helo", "a b", exit_code=1)[-1]["stage"], "hello")
        self.assertEqual(self.steps("--ip", "192.0.2.7", "--from", "a@b@c", exit_code=1)[-1]["stage"], "sender")
        self.assertTrue(self.steps("--ip", "192.0.2.7", "--from", "")[-1]["accepted"])
        step = self.steps("--ip", "192.0.2.7", "--from", "", "--to", "jürgen@example.org", exit_code=1)[-1]
        self.assertEqual(step["rule"], "relay.unknown_user")

    def test_tricks(self) -> None:
        """No form of an address leads elsewhere for a stranger: each is refused, and none is even given a destination."""
        for trick in _TRICKS:
            steps = self.steps("--ip", "192.0.2.99", "--from", "x@example.net", "--to", trick, exit_code=1)
            self.assertEqual([step["stage"] for step in steps], ["connect", "hello", "sender", "recipient"], trick)
            step = steps[-1]
            self.assertEqual((step["accepted"], step["destination"]), (False, ""), trick)
            self.assertEqual(step["reply"][:1], "5", trick)

    def test_local_in_disguise(self) -> None:
        """What may look like a trick and is anna's, or the postmaster's, is delivered here and nowhere else."""
        for disguise in (
            '"anna"@example.org',
            "<@example.net:anna@example.org>",
            "<@example.net,@example.com:anna@example.org>",
            "ANNA@EXAMPLE.ORG",
            "anna+x%example.net@example.org",
            "postmaster",
            "POSTMASTER",
            "postmaster@example.org",
            "<Postmaster>",
        ):
            step = self.steps("--ip", "192.0.2.99", "--from", "", "--to", disguise)[-1]
            self.assertEqual((step["accepted"], step["destination"]), (True, "local:anna"), disguise)

    def test_fault(self) -> None:
        """What fails while it is looked at is told, and is no acceptance."""

        async def over_quota(*_: object) -> None:
            raise PermissionError(13, "Permission denied", "/mail/anna")

        self.patch(Mailboxes, "over_quota", over_quota)
        words = ("explain", "-c", self.config, "--ip", "192.0.2.99", "--to", "anna@example.org")
        result = self.run_hermes(*words, exit_code=1)
        self.assertEqual((result.stdout, result.stderr), ("", "/mail/anna: Permission denied\n"))

    def test_usage(self) -> None:
        """What cannot be asked is told in a line, with exit code 2; a wrong configuration with 3."""
        for words in (
            ("--ip", "example.org"),
            (),
            ("--ip", "192.0.2.7", "--server", "pop3", "--to", "anna@example.org"),
            ("--ip", "192.0.2.7", "--server", "gopher"),
            ("--ip", "192.0.2.7", "--to", "anna@example.org\r\nRCPT TO:<x@example.net>"),
            ("--ip", "192.0.2.7", "--size", "much"),
        ):
            self.run_hermes("explain", "-c", self.config, *words, exit_code=2)
        wrong = self.site("[access:x]\n")
        self.run_hermes("explain", "-c", wrong, "--ip", "192.0.2.7", exit_code=3)
