"""Whom a submission may say that it is from."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.core.header import Header
from hermes.core.outcome import PASS, Verdict
from hermes.core.policy import Case, Stage
from hermes.core.visit import Visit
from hermes.interfaces import ICheck
from hermes.policy.authorship import Authorship
from hermes.protocols.smtp.events import Flavor
from tests.support.smtp_site import MemoryDirectory, Site, codes, plain


class AuthorshipTests(SynchronousTestCase):
    """Messages over a submission session, and over one that is none."""

    def start(self, *, own_only: bool = False, flavor: Flavor = Flavor.SUBMISSION) -> None:
        """A site with the check."""
        self.check = Authorship(MemoryDirectory(), own_only=own_only)
        self.site = Site(flavor=flavor, implicit_tls=True, checks=[self.check])

    def send(self, *lines: str, login: bool = True) -> str:
        """Send a message; the last answer."""
        client = self.site.connect()
        if login:
            client.say(f"AUTH PLAIN {plain()}")
        self.assertEqual(
            codes(client.say("MAIL FROM:<alice@example.org>", "RCPT TO:<bob@example.org>", "DATA")),
            ["250", "250", "354"],
        )
        (answer,) = client.say(*lines, "", "text", ".")
        return answer

    def test_interface(self) -> None:
        """It is a check, and judges nothing without a header."""
        self.start()
        self.assertTrue(verifyObject(ICheck, self.check))
        self.assertEqual(self.check.judge(Case(Stage.HEADER, Visit("192.0.2.7", submission=True))), PASS)

    def test_several(self) -> None:
        """Two From fields are one too many, in any case, folded, and wherever they stand."""
        self.start()
        for lines in (
            ("From: alice@example.org", "From: bob@example.org"),
            ("From: alice@example.org", "Subject: x", "FROM : alice@example.org"),
            ("from:", " alice@example.org", "To: x@example.org", "From: Alice", "\t<alice@example.org>"),
        ):
            self.assertEqual(self.send(*lines)[:9], "550 5.6.0", lines)
        self.assertEqual(self.site.journal.refusals()[-1][0], "from.several")
        self.assertEqual(self.site.relay_manager.messages, [])

    def test_no_address(self) -> None:
        """A From without an address is refused; one with several addresses is not, nor a message without From."""
        self.start()
        for value in ("", "Alice", "<>", "Undisclosed:;"):
            self.assertEqual(self.send(f"From: {value}")[:9], "550 5.6.0", value)
        self.assertEqual(self.site.journal.refusals()[-1][0], "from.no_address")
        for line in ("From: Alice <alice@example.org>", "From: alice@example.org, bob@example.org", "Subject: x"):
            self.assertEqual(self.send(line)[:3], "250", line)

    def test_foreign_author(self) -> None:
        """Who sends on behalf of somebody may do so, unless the settings say otherwise."""
        self.start()
        self.assertEqual(self.send("From: bob@example.org")[:3], "250")
        self.start(own_only=True)
        for value in (
            "alice@example.org",
            "AL@Example.Org",
            "Sales <sales@example.org>",
            "alice@example.org, al@example.org",
        ):
            self.assertEqual(self.send(f"From: {value}")[:3], "250", value)
        for value in ("bob@example.org", "alice@example.org, bob@example.org", '"alice@example.org" <x@example.net>'):
            self.assertEqual(self.send(f"From: {value}")[:9], "550 5.7.1", value)
        self.assertEqual(self.site.journal.refusals()[-1][0], "from.not_owner")
        self.assertEqual(self.send("Subject: x")[:9], "550 5.6.0")

    def test_large_header(self) -> None:
        """A header that is not looked at to its end could hold another From."""
        self.start()
        for whole, refused in ((True, False), (False, True)):
            header = Header(b"From: alice@example.org\n", whole=whole)
            verdict = self.check.judge(Case(Stage.HEADER, Visit("192.0.2.7", submission=True), header=header))
            assert isinstance(verdict, Verdict)
            self.assertEqual(not verdict.accepted, refused)

    def test_other_mail(self) -> None:
        """Mail from other servers is as it is; an account that logs in there submits."""
        self.start(flavor=Flavor.SMTP, own_only=True)
        lines = ("From: a@example.net", "From: b@example.net")
        self.assertEqual(self.send(*lines, login=False)[:3], "250")
        self.assertEqual(self.send(*lines)[:9], "550 5.6.0")

    def test_unknown_account(self) -> None:
        """Where nobody has logged in, whose address it is cannot be asked."""
        self.start(own_only=True)
        case = Case(Stage.HEADER, Visit("192.0.2.7", submission=True), header=Header(b"From: bob@example.org\n"))
        self.assertEqual(self.check.judge(case), PASS)
