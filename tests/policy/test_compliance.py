"""Compliance and the killfile, in whole sessions; and addresses that are no longer valid."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from hermes.config.sections.compliance import ComplianceSettings
from hermes.core.access_entry import AccessEntry
from hermes.core.address_list import AddressList
from hermes.core.envelope import Origin, Recipient
from hermes.core.event import Kind
from hermes.core.header import Header
from hermes.core.header_facts import MAX_HEADER_OCTETS
from hermes.core.message import Content
from hermes.core.outcome import PASS, Verdict
from hermes.core.policy import Case, Stage
from hermes.core.reply import Reply
from hermes.core.transaction import Transaction
from hermes.core.visit import Visit
from hermes.interfaces import ICheck
from hermes.net.content import ContentReader
from hermes.policy.address_file import MOVED, parse_addresses, parse_moved
from hermes.policy.compliance import MAX_ADDRESSES, Compliance
from hermes.policy.edited_file import Lines
from hermes.policy.no_longer_valid import NoLongerValid
from tests.support.smtp_site import Client, Site, plain
from tests.support.worker import ImmediateWorker

FROM = "From: a@example.com"


def listed(*entries: str) -> AddressList:
    """A list of addresses."""
    lines = Lines("killfile", "\n".join(entries))
    found = parse_addresses(lines)
    assert not lines.problems
    return found


class ComplianceTestCase(TestCase):
    """A site with compliance."""

    def site(self, killfile: str = "", exceptions: str = "", site: Any = None, **settings: Any) -> Site:
        """A site with these settings and lists; ``site`` has more for the site itself."""
        lists = [partial(listed, *text.split()) if text else None for text in (killfile, exceptions)]
        reader = ContentReader(ImmediateWorker())
        self.check = Compliance(ComplianceSettings(**settings), lists[0], lists[1], reader)
        return Site(checks=[self.check], **(site or {}))

    def mail(self, where: Site | Client, *lines: str, reverse_path: str = "a@example.com", parameters: str = "") -> str:
        """Send a message of these lines; the last answer."""
        client = where.connect() if isinstance(where, Site) else where
        (answer,) = client.say(f"MAIL FROM:<{reverse_path}>{parameters}")
        if answer[0] == "2":
            client.say("RCPT TO:<alice@example.org>", "DATA")
            (answer,) = client.say(*lines, ".")
        return answer

    def refusals(self, site: Site) -> list[tuple[object, object]]:
        """The rules and reasons in the trace."""
        return [(each.facts["rule"], each.facts["reason"]) for each in site.journal.events if each.kind is Kind.REFUSED]


class SenderTests(ComplianceTestCase):
    """What is asked at MAIL."""

    def test_interface(self) -> None:
        """It is a check; without settings it wants to judge nothing."""
        self.site()
        self.assertTrue(verifyObject(ICheck, self.check))
        self.assertEqual(self.check.stages, ())

    def test_size(self) -> None:
        """The size must be declared."""
        site = self.site(require_size=True)
        self.assertEqual(
            self.mail(site),
            "550 5.7.1 Say EHLO, and declare the size of the message: MAIL FROM:<...> SIZE=n (RFC 1870)",
        )
        self.assertTrue(self.mail(site, FROM, "", "x", parameters=" SIZE=100").startswith("250 "))
        self.assertEqual(self.refusals(site), [("compliance.size", None)])

    def test_killfile(self) -> None:
        """Who is in the killfile is refused at MAIL, and the trace names the entry."""
        site = self.site("bad@example.com *.example.net")
        for reverse_path, entry in (("BAD@example.com", "bad@example.com"), ("x@a.example.net", "*.example.net")):
            self.assertEqual(
                self.mail(site, reverse_path=reverse_path), "550 5.7.1 Mail from your address is not wanted here"
            )
            self.assertEqual(self.refusals(site)[-1], ("compliance.killfile", f"the killfile has {entry}"))
        for reverse_path in ("", "good@example.com"):
            self.assertTrue(self.mail(site, FROM, "", "x", reverse_path=reverse_path).startswith("250 "))

    def test_exceptions_are_for_the_message(self) -> None:
        """Exceptions do not hold for the size and the envelope."""
        site = self.site("bad@example.com", "*", require_size=True)
        self.assertTrue(self.mail(site).startswith("550 5.7.1 Say EHLO"))
        answer = self.mail(site, reverse_path="bad@example.com", parameters=" SIZE=10")
        self.assertTrue(answer.startswith("550 5.7.1 Mail from your address"))


class HeaderTests(ComplianceTestCase):
    """What is asked of the header; the message is read to its end."""

    def test_killfile(self) -> None:
        """Addresses in From, Sender and Reply-To are looked for, however they are written."""
        site = self.site("bad@example.com")
        for field in (
            "From: bad@example.com",
            'FROM: "Somebody" <Bad@Example.com>',
            "Sender: (x) bad@example.com",
            "Reply-To: good@example.com, bad@example.com",
            "Reply-To: Good <good@example.com>,\r\n\tBad < bad@example.com >",
            "From: good@example.com\r\nFrom: bad@example.com",
        ):
            self.assertEqual(
                self.mail(site, field, "", "x"),
                "550 5.7.1 Mail from an address in your message's header is not wanted here",
                field,
            )
        self.assertEqual(
            self.refusals(site)[-1], ("compliance.killfile", "the killfile has bad@example.com, for bad@example.com")
        )
        for field in ("To: bad@example.com", 'From: "bad@example.com" <good@example.com>', "From: xbad@example.com"):
            self.assertTrue(self.mail(site, field, "", "x").startswith("250 "), field)

    def test_many_addresses(self) -> None:
        """So many addresses of one message are looked at."""
        site = self.site("bad@example.com")
        for count, refused in ((MAX_ADDRESSES - 1, True), (MAX_ADDRESSES, False), (MAX_ADDRESSES + 1, False)):
            fields = [f"Reply-To: x{number}@example.com" for number in range(count)]
            answer = self.mail(site, *fields, "Reply-To: bad@example.com", "", "x")
            self.assertEqual(answer.startswith("550 "), refused, count)

    def test_subject(self) -> None:
        """A subject must be there, or say something."""
        refusal = "550 5.6.0 The message has no subject: write one, and send it again"
        for setting, field, refused in (
            ("no", "", False),
            ("field", "", True),
            ("field", "Subject:", False),
            ("field", "subject: x", False),
            ("text", "", True),
            ("text", "Subject:", True),
            ("text", "Subject: \r\n\t", True),
            ("text", "Subject:\r\n x", False),
        ):
            site = self.site(require_subject=setting, require_date=setting == "no")
            answer = self.mail(site, FROM, "Date: today", *([field] if field else []), "", "Subject: x")
            self.assertEqual(answer if refused else answer[:4], refusal if refused else "250 ", (setting, field))

    def test_date(self) -> None:
        """A date must be there."""
        site = self.site(require_date=True)
        for fields in ([], ["Date:"]):
            self.assertEqual(
                self.mail(site, FROM, *fields, "", "x"),
                "550 5.6.0 The message has no date: send it with a mail program that writes one",
            )
        self.assertTrue(self.mail(site, FROM, "Date: Mon, 1 Jan 2029 00:00:00 +0000", "", "x").startswith("250 "))

    def test_mime(self) -> None:
        """The message must say that it is MIME."""
        site = self.site(refuse_not_mime=True)
        self.assertEqual(
            self.mail(site, FROM, "", "MIME-Version: 1.0"),
            "550 5.6.0 The message has no field MIME-Version: send it with a mail program that writes one",
        )
        self.assertTrue(self.mail(site, FROM, "Mime-version: 1.0", "", "x").startswith("250 "))
        self.assertEqual(self.refusals(site), [("compliance.mime", None)])

    def test_more_header_than_is_looked_at(self) -> None:
        """Of a header that is too long nobody can say what is not in it."""
        site = self.site(refuse_not_mime=True, refuse_html_only=True)
        client = site.connect()
        client.say("MAIL FROM:<a@example.com>", "RCPT TO:<alice@example.org>", "DATA")
        client.say("Content-Type: text/html", *(["X: " + "y" * 900] * (MAX_HEADER_OCTETS // 900 + 1)))
        (answer,) = client.say("", "x", ".")
        self.assertTrue(answer.startswith("250 "))

    def test_exceptions(self) -> None:
        """Senders in the list may send what they like; null senders too, where they are in it."""
        site = self.site("bad@example.com", "*@example.net <>", refuse_not_mime=True, refuse_html_only=True)
        html = ("From: bad@example.com", "Content-Type: text/html", "", "<p>")
        self.assertTrue(self.mail(site, *html).startswith("550 "))
        for reverse_path in ("x@example.net", ""):
            self.assertTrue(self.mail(site, *html, reverse_path=reverse_path).startswith("250 "))


class HTMLTests(ComplianceTestCase):
    """HTML without a text."""

    REFUSAL = "550 5.6.0 The message is HTML alone: send it as plain text, or with plain text beside it"

    def test_one_part(self) -> None:
        """A message that is HTML alone is refused, one of text is not."""
        site = self.site(refuse_html_only=True)
        self.assertEqual(self.mail(site, FROM, "Content-Type: text/html", "", "<p>"), self.REFUSAL)
        self.assertTrue(self.mail(site, FROM, "Content-Type: text/plain", "", "<p>").startswith("250 "))
        self.assertEqual(self.refusals(site), [("compliance.html", None)])
        self.assertEqual(len(site.spool.committed), 1)

    def test_parts(self) -> None:
        """The parts are looked at; a large message too, and to no purpose beyond its bounds."""
        site = self.site(refuse_html_only=True)
        html = ["--b", "Content-Type: text/html", "", "<p>"]
        text = ["--b", "Content-Type: text/plain", "", "x"]
        for size in (1, 300_000):
            html[-1] = "<p>" + "\r\n".join(["y" * 70] * (size // 70 + 1))
            head = [FROM, "Content-Type: multipart/alternative; boundary=b", ""]
            self.assertEqual(self.mail(site, *head, *html, "--b--"), self.REFUSAL, size)
            for inside in ([*html, *text], [*text, *html]):
                self.assertTrue(self.mail(site, *head, *inside, "--b--").startswith("250 "), size)

    def test_without_a_reader(self) -> None:
        """Where messages cannot be read HTML is not looked for."""
        self.assertEqual(Compliance(ComplianceSettings(refuse_html_only=True)).stages, ())


class WhoTests(ComplianceTestCase):
    """Who is asked."""

    EVERYTHING = {
        "require_size": True,
        "refuse_not_mime": True,
        "require_date": True,
        "require_subject": "text",
        "refuse_html_only": True,
    }

    def test_trusted(self) -> None:
        """Who may relay, who is unfiltered or exempt, and this machine, are not asked."""
        for peer, more in (
            ("192.0.2.7", {"relays": "smtp.relay_networks"}),
            ("192.0.2.7", {"entry": AccessEntry("x", unfiltered=True)}),
            ("192.0.2.7", {"entry": AccessEntry("x", exempt=True)}),
            ("127.0.0.1", {}),
        ):
            site = self.site("*", site={"visit_of": lambda peer, more=more: Visit(peer, **more)}, **self.EVERYTHING)
            client = site.connect(peer)
            self.assertTrue(self.mail(client, FROM, "Content-Type: text/html", "", "x").startswith("250 "), more)
        site = self.site("*", site={"visit_of": lambda peer: Visit(peer, entry=AccessEntry("x"))}, **self.EVERYTHING)
        self.assertTrue(self.mail(site).startswith("550 "))

    def test_logged_in(self) -> None:
        """Who has logged in is not asked."""
        site = self.site("*", site={"auth_without_tls": "loopback"}, **self.EVERYTHING)
        client = site.connect("127.0.0.1")
        client.say(f"AUTH PLAIN {plain()}")
        self.assertTrue(self.mail(client, FROM, "", "x", reverse_path="alice@example.org").startswith("250 "))

    def test_without_a_transaction(self) -> None:
        """Without a transaction there is nothing to judge."""
        check = Compliance(ComplianceSettings(require_size=True))
        self.assertEqual(check.judge(Case(Stage.SENDER, Visit("192.0.2.7"))), PASS)


class TimeTests(SynchronousTestCase):
    """What all of it costs."""

    def test_time(self) -> None:
        """All checks of a common message together take a tenth of a millisecond; ten times that is no reason to worry."""
        many = listed(*(f"user{number}@example{number}.org" for number in range(10_000)), "*spam*@example.info")
        everything = ComplianceSettings(
            require_size=True, refuse_not_mime=True, require_date=True, require_subject="text", refuse_html_only=True
        )
        check = Compliance(everything, lambda: many, lambda: many, ContentReader(ImmediateWorker()))
        header = (
            b"Received: from x (y [192.0.2.7]) by z with ESMTP id 1; Mon, 1 Jan 2029 00:00:00 +0000\n"
            * 4
            + b"From: A <a@example.com>\nTo: b@example.org\nSubject: hello\nDate: Mon, 1 Jan 2029 00:00:00 +0000\n"
            b"MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=b1\n"
        )
        body = b"\n--b1\nContent-Type: text/plain\n\nhello\n--b1\nContent-Type: text/html\n\n<p>hello\n--b1--\n"

        class Arrived:
            size_octets = len(header + body)

            async def content(self) -> Content:
                return Content(self.size_octets, 0, 0, data=header + body)

        def one_message() -> None:
            visit = Visit("192.0.2.7")
            transaction = Transaction(
                Origin("ESMTP", "192.0.2.7", "x"), "smtp", False, "a@example.com", 100, visit=visit
            )
            parsed, verdicts = Header(header), []
            for stage in (Stage.SENDER, Stage.HEADER, Stage.MESSAGE):
                verdict = check.judge(Case(stage, visit, "", transaction, header=parsed, message=Arrived()))
                if isinstance(verdict, Verdict):
                    verdicts.append(verdict)
                else:
                    Deferred.fromCoroutine(verdict).addCallback(verdicts.append)  # type: ignore[arg-type]
            self.assertEqual(verdicts, [PASS] * 3)

        one_message()
        began = time.process_time()
        for _ in range(200):
            one_message()
        self.assertLess((time.process_time() - began) / 200, 0.001)


class ListFileTests(SynchronousTestCase):
    """The files."""

    def test_addresses(self) -> None:
        """Each line is an entry; each that is none is named."""
        lines = Lines("killfile", "# x\njoe@example.org\n\nJoe <x@example.org>\n*@\n*@example.com\n")
        self.assertEqual(len(parse_addresses(lines)), 2)
        self.assertEqual([problem.line for problem in lines.problems], [4, 5])

    def test_moved(self) -> None:
        """Each line is an address, and what is to be said of it."""
        lines = Lines(
            "nlv",
            'Joe@Example.org  Joe left us: write to office@example.org\nann@example.org\nbob@example.org\t"Gone"\n',
        )
        self.assertEqual(
            parse_moved(lines),
            {
                "joe@example.org": (Reply.of(550, "5.1.6", "Joe left us: write to office@example.org"), "nlv:1"),
                "ann@example.org": (Reply.of(550, "5.1.6", MOVED), "nlv:2"),
                "bob@example.org": (Reply.of(550, "5.1.6", "Gone"), "nlv:3"),
            },
        )
        self.assertEqual(lines.problems, [])

    def test_moved_mistakes(self) -> None:
        """What is no address, and what cannot be said, is named with its line."""
        lines = Lines(
            "nlv",
            "joe\n@example.org\njoe@ x\njoe@example.org Gr\xfc\xdfe\njoe@example.org "
            + "x" * 401
            + "\n"
            + "j" * 250
            + "@example.org",
        )
        self.assertEqual(parse_moved(lines), {})
        self.assertEqual([problem.line for problem in lines.problems], [1, 2, 3, 4, 5, 6])


class NoLongerValidTests(TestCase):
    """Addresses that are no longer valid."""

    def site(self) -> Site:
        """A site where one of them is gone and one is not."""
        moved = parse_moved(Lines("nlv", "gone@example.org Write to office@example.org\nalice@example.org\n"))
        self.check = NoLongerValid(lambda: moved)
        return Site(checks=[self.check])

    def test_said(self) -> None:
        """Who writes to one is told, whether or not there is still a mailbox; others are unknown or welcome as ever."""
        site = self.site()
        client = site.connect()
        self.assertTrue(verifyObject(ICheck, self.check))
        client.say("MAIL FROM:<a@example.com>")
        for address, said in (
            ("Gone@example.org", "550 5.1.6 Write to office@example.org"),
            ("alice@example.org", "550 5.1.6 This address is no longer valid"),
            ("nobody@example.org", "550 5.1.1 "),
            ("gone@example.net", "550 5.7.1 We do not relay"),
            ("bob@example.org", "250 "),
        ):
            (answer,) = client.say(f"RCPT TO:<{address}>")
            self.assertTrue(answer.startswith(said), (address, answer))
        first = next(each for each in site.journal.events if each.kind is Kind.REFUSED)
        self.assertEqual((first.facts["rule"], first.facts["place"]), ("recipient.no_longer_valid", "nlv:1"))
        self.assertEqual(first.recipient if hasattr(first, "recipient") else first.address, "Gone@example.org")

    def test_other_refusals(self) -> None:
        """A refusal for another reason stays what it is."""
        self.site()
        case = Case(Stage.REFUSED, Visit("192.0.2.7"), recipient=Recipient("gone@example.org"))
        for rule, refused in (("relay.unknown_user", True), ("relay.disabled", True), ("relay.denied", False)):
            case.verdict = Verdict(Reply.of(550, None, "No"), rule)
            self.assertEqual(self.check.judge(case).accepted, not refused)
        slow = Verdict(Reply.of(550, None, "No"), "relay.unknown_user", delay_seconds=4.0)
        case.verdict = slow
        said = self.check.judge(case)
        self.assertEqual((said.delay_seconds, said.rule), (4.0, "recipient.no_longer_valid"))
        case.recipient = None
        self.assertTrue(self.check.judge(case).accepted)
