"""Transaction filters at work, in whole sessions."""

from __future__ import annotations

from typing import Any

from twisted.logger import globalLogPublisher
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from hermes.core.access_entry import AccessEntry
from hermes.core.event import Event, Kind
from hermes.core.policy import Case, Stage
from hermes.core.transaction_filter import Filter
from hermes.core.visit import Visit
from hermes.interfaces import ICheck
from hermes.policy.edited_file import Lines
from hermes.policy.filter_file import parse_filters
from hermes.policy.filters import MAX_CHARACTERS, Filters, subject_texts
from hermes.protocols.smtp.events import Flavor
from tests.support.smtp_site import Client, Site, plain


class Blocked:
    """A list of offenders that only remembers."""

    def __init__(self) -> None:
        self.reports: list[tuple[str, str, str]] = []

    def report(self, peer: str, rule: str, reason: str, seconds: float | None = None) -> bool:
        """Remember it."""
        self.reports.append((peer, rule, reason))
        return True


def filters(text: str) -> list[Filter]:
    """The filters of a file."""
    lines = Lines("t.mer", text)
    found = parse_filters(lines)
    assert not lines.problems, lines.problems
    return found


class FiltersTestCase(TestCase):
    """A site with filters."""

    def site(self, text: str, **more: Any) -> Site:
        """A site that has these filters."""
        self.blocked = Blocked()
        own = filters(text)
        return Site(checks=[Filters([lambda: own], self.blocked.report)], **more)

    def client(self, text: str, greet: str | None = "EHLO client.example.com", **more: Any) -> Client:
        """A client that has greeted."""
        client = self.site(text, **more).connect(greet=greet)
        client.heard()
        return client

    def mail(self, client: Client, subject: str = "Subject: hello", reverse_path: str = "a@example.com") -> str:
        """Send a whole message; the last answer."""
        (answer,) = client.say(f"MAIL FROM:<{reverse_path}>")
        if answer[0] == "2":
            (answer,) = client.say("RCPT TO:<alice@example.org>")
        if answer[0] == "2":
            client.say("DATA")
            (answer,) = client.say(*([subject] if subject else []), "From: a@example.com", "", "body", ".")
        return answer


class PassTests(FiltersTestCase):
    """What each pass looks at."""

    def test_interface(self) -> None:
        """It is a check."""
        self.assertTrue(verifyObject(ICheck, Filters([])))

    def test_hello(self) -> None:
        """H sees the line of the greeting as the client wrote it."""
        client = self.client('H, "ehlo/w*[[]192.0.2.7]", F, "550 No"', greet=None)
        self.assertEqual(client.say("eHLO   [192.0.2.7]"), ["550 No"])
        self.assertTrue(client.say("MAIL FROM:<a@example.com>")[0].startswith("503 "))
        self.assertTrue(client.say("HELO client.example.com")[0].startswith("250 "))
        self.assertTrue(client.say("MAIL FROM:<a@example.com>")[0].startswith("250 "))

    def test_sender(self) -> None:
        """M sees the whole line of MAIL."""
        client = self.client('M, "*SIZE=5*", F, "550 No"')
        self.assertEqual(client.say("MAIL FROM:<a@example.com> size=5"), ["550 5.7.1 No"])
        self.assertTrue(client.say("MAIL FROM:<a@example.com> SIZE=6")[0].startswith("250 "))

    def test_recipient(self) -> None:
        """R sees each line of RCPT."""
        client = self.client('R, "rcpt to:<bob@*>*", F, "550 No"')
        client.say("MAIL FROM:<a@example.com>")
        self.assertEqual(client.say("RCPT TO:<Bob@example.org>"), ["550 5.7.1 No"])
        self.assertTrue(client.say("RCPT TO:<alice@example.org>")[0].startswith("250 "))

    def test_subject(self) -> None:
        """S sees the subject when the header has come, as text or as a line, and as people read it."""
        for subject in ("Subject: Free money", "SUBJECT:Free\r\n money", "Subject: =?utf-8?B?RnJlZSBtb25leQ==?="):
            for expression in ("*free/wmoney*", "free/Wmoney", "Subject: free/Wmoney"):
                client = self.client(f'S, "{expression}", F, "550 No"')
                self.assertEqual(self.mail(client, subject), "550 5.7.1 No", (expression, subject))
                self.assertTrue(self.mail(client, "Subject: order").startswith("250 "))

    def test_no_subject(self) -> None:
        """Without a subject there is nothing to look at, negated or not."""
        self.assertTrue(self.mail(self.client('S, "*x*", F-N'), "").startswith("250 "))
        self.assertTrue(self.mail(self.client('S, "*x*", F-N'), "Subject:").startswith("554 "))

    def test_coded_subject(self) -> None:
        """An expression may also look for the code itself."""
        subject = "Subject: =?koi8-r?B?RnJlZSBtb25leQ==?="
        self.assertTrue(self.mail(self.client('S, "*=[?]koi8-r[?]*", F'), subject).startswith("554 "))

    def test_words(self) -> None:
        """Those that look for a word find it in any case, and beside letters that are not of ASCII; N turns it round."""
        lines = ('S, "*Sp*am*", F, "554 one"', 'S, "*list*", FN, "554 other"')
        for subject, answer in (
            ("Subject: buy sPAM", "554 5.7.1 one"),
            ("Subject: Größe: spam", "554 5.7.1 one"),
            ("Subject: list of amsp", "250"),
            ("Subject: hello", "554 5.7.1 other"),
            ("Subject: Größe", "554 5.7.1 other"),
            ("Subject: LIST of Größe", "250"),
            ("Subject: list", "250"),
        ):
            self.assertTrue(self.mail(self.client("\n".join(lines)), subject).startswith(answer), subject)

    def test_long(self) -> None:
        """As much is looked at as filters may cost."""
        self.assertEqual(len(subject_texts("x" * (MAX_CHARACTERS + 1))[0]), MAX_CHARACTERS)
        for length, refused in ((MAX_CHARACTERS - 1, True), (MAX_CHARACTERS, True), (MAX_CHARACTERS + 1, False)):
            case = Case(Stage.HELLO, Visit("192.0.2.7"), command="x" * (length - 1) + "y")
            check = Filters([lambda: filters('H, "*y", F')])
            self.assertEqual(check.judge(case).accepted, not refused, length)

    def test_lmtp(self) -> None:
        """Who delivers by LMTP is a program of ours, and is not filtered."""
        client = self.client('H, "*", F\nM, "*", F', greet=None, flavor=Flavor.LMTP)
        self.assertTrue(client.say("LHLO localhost")[0].startswith("250-"))
        self.assertTrue(client.say("MAIL FROM:<a@example.com>")[0].startswith("250 "))


class DeferredTests(FiltersTestCase):
    """The pass D: about the greeting, but not before MAIL."""

    def test_held(self) -> None:
        """The greeting is answered as if nothing were; MAIL is refused."""
        client = self.client('D, "*.*", FN, "550 Log in"', greet=None)
        self.assertTrue(client.say("EHLO laptop")[0].startswith("250-"))
        self.assertEqual(client.say("MAIL FROM:<a@example.com>"), ["550 5.7.1 Log in"])
        self.assertTrue(client.say("EHLO laptop.example.com")[0].startswith("250-"))
        self.assertTrue(client.say("MAIL FROM:<a@example.com>")[0].startswith("250 "))

    def test_canceled_by_login(self) -> None:
        """Who logs in before MAIL is not refused; the pass M is another matter."""
        site = self.site('D, "*.*", RSN\nM, "*bad*", F', auth_without_tls="loopback")
        client = site.connect("127.0.0.1", greet="EHLO laptop")
        self.assertTrue(client.say(f"AUTH PLAIN {plain()}")[0].startswith("235 "))
        self.assertTrue(client.say("MAIL FROM:<alice@example.org>")[0].startswith("250 "))
        client.say("RSET")
        self.assertTrue(client.say("MAIL FROM:<alice@example.org> ENVID=bad")[0].startswith("554 "))
        self.assertEqual(self.blocked.reports, [])

    def test_stop(self) -> None:
        """S in this pass ends the filtering of the message, that of the pass M too."""
        client = self.client('D, "*", S\nM, "*", F')
        self.assertTrue(client.say("MAIL FROM:<a@example.com>")[0].startswith("250 "))

    def test_without_greeting(self) -> None:
        """Where nobody has greeted, as in a look at MAIL alone, there is nothing to look at."""
        check = Filters([lambda: filters('D, "*", F')])
        self.assertTrue(check.judge(Case(Stage.SENDER, Visit("192.0.2.7"), "MAIL FROM:<>")).accepted)


class ActionTests(FiltersTestCase):
    """What each action does."""

    def test_refuse(self) -> None:
        """R leaves nothing but QUIT."""
        client = self.client('M, "*bad*", R, "554 No"')
        self.assertEqual(client.say("MAIL FROM:<bad@example.com>"), ["554 5.7.1 No"])
        self.assertEqual(client.say("MAIL FROM:<a@example.com>", "NOOP"), ["554 5.7.1 No"] * 2)
        self.assertTrue(client.say("QUIT")[0].startswith("221 "))

    def test_fail(self) -> None:
        """F refuses one command."""
        client = self.client('M, "*bad*", F, "554 No"')
        self.assertEqual(client.say("MAIL FROM:<bad@example.com>"), ["554 5.7.1 No"])
        self.assertTrue(client.say("MAIL FROM:<a@example.com>")[0].startswith("250 "))

    def test_close(self) -> None:
        """B says so, and closes."""
        client = self.client('M, "*bad*", B, "554 No"')
        self.assertEqual(client.say("MAIL FROM:<bad@example.com>"), ["554 5.7.1 No"])
        self.assertTrue(client.wire.disconnecting)

    def test_drop(self) -> None:
        """D closes without a word."""
        client = self.client('M, "*bad*", D, "554 No"')
        self.assertEqual(client.say("MAIL FROM:<bad@example.com>"), [])
        self.assertTrue(client.wire.aborted)

    def test_at_the_end_of_a_message(self) -> None:
        """A subject is refused when the message has come whole, and what follows from it follows then."""
        client = self.client('S, "*bad*", B, "554 No"')
        self.assertEqual(self.mail(client, "Subject: bad"), "554 5.7.1 No")
        self.assertTrue(client.wire.disconnecting)

    def test_log(self) -> None:
        """L writes a line, with what was said, and goes on."""
        logged: list[Any] = []
        globalLogPublisher.addObserver(logged.append)
        self.addCleanup(globalLogPublisher.removeObserver, logged.append)
        client = self.client('M, "*bad*", L, "seen"\nM, "*", F, "550 No"')
        self.assertEqual(client.say("MAIL FROM:<bad@example.com>"), ["550 5.7.1 No"])
        (event,) = [each for each in logged if each["log_namespace"] == "hermes.policy.filters.Filters"]
        said = (event["place"], event["text"], event["peer"], event["said"])
        self.assertEqual(said, ("t.mer:1", "seen", "192.0.2.7", "MAIL FROM:<bad@example.com>"))

    def test_leave(self) -> None:
        """X ends this pass alone."""
        client = self.client('M, "*good*", X\nM, "*", F, "550 No"\nR, "*", F, "551 No"')
        self.assertEqual(client.say("MAIL FROM:<a@example.com>"), ["550 5.7.1 No"])
        self.assertTrue(client.say("MAIL FROM:<good@example.com>")[0].startswith("250 "))
        self.assertEqual(client.say("RCPT TO:<alice@example.org>"), ["551 5.7.1 No"])

    def test_stop_message(self) -> None:
        """S ends all filtering of this message, and not of the next."""
        client = self.client('M, "*good*", S\nM, "*", F, "550 No"\nR, "*", F\nS, "*", F')
        self.assertTrue(self.mail(client, reverse_path="good@example.com").startswith("250 "))
        self.assertEqual(self.mail(client), "550 5.7.1 No")

    def test_stop_session(self) -> None:
        """S at the greeting holds until the next greeting."""
        client = self.client('H, "*good*", S\nM, "*", F, "550 No"', greet="EHLO good.example.com")
        for _ in range(2):
            self.assertTrue(self.mail(client).startswith("250 "))
        client.say("EHLO client.example.com")
        self.assertEqual(self.mail(client), "550 5.7.1 No")

    def test_block(self) -> None:
        """The second letter S puts the address on the list of offenders, whatever the action is."""
        client = self.client('M, "*bad*", LS, "seen"\nM, "*bad*", FS')
        client.say("MAIL FROM:<bad@example.com>")
        self.assertEqual(
            self.blocked.reports, [("192.0.2.7", "filter.sender", f"t.mer:{line}: *bad*") for line in (1, 2)]
        )

    def test_no_list(self) -> None:
        """Where there is no list nobody is put on it."""
        check = Filters([lambda: filters('H, "*", FS')])
        self.assertFalse(check.judge(Case(Stage.HELLO, Visit("192.0.2.7"), "EHLO x")).accepted)


class WhoTests(FiltersTestCase):
    """Whom filters look at, and which they are."""

    def test_unfiltered(self) -> None:
        """Whom connection control spares is spared by all passes."""
        entry = AccessEntry("office", unfiltered=True)
        text = "".join(f'{stage}, "*", R\n' for stage in "HDMRS")
        client = self.client(text, visit_of=lambda peer: Visit(peer, entry=entry))
        self.assertTrue(self.mail(client).startswith("250 "))
        client = self.client(text, greet=None, visit_of=lambda peer: Visit(peer, entry=AccessEntry("others")))
        self.assertTrue(client.say("EHLO x")[0].startswith("554 "))

    def test_trace(self) -> None:
        """The trace names the rule, the expression and the line."""
        site = self.site('\nM, "*bad*", F, "550 No"')
        site.connect().say("MAIL FROM:<bad@example.com>")
        (event,) = [each for each in site.journal.events if each.kind is Kind.REFUSED]
        self.assertIsInstance(event, Event)
        facts = {name: event.facts[name] for name in ("rule", "reason", "place", "reply")}
        self.assertEqual(
            facts, {"rule": "filter.sender", "reason": "*bad*", "place": "t.mer:2", "reply": "550 5.7.1 No"}
        )

    def test_sources(self) -> None:
        """The file's filters come first; when a source gives others, these hold from the next command on."""
        first, second = filters('M, "*a*", F, "550 first"'), filters('M, "*", F, "550 second"')
        sources = [first, second]
        client = Site(checks=[Filters([lambda: sources[0], lambda: sources[1]])]).connect()
        self.assertEqual(client.say("MAIL FROM:<a@x.example>"), ["550 5.7.1 first"])
        sources[0] = []
        self.assertEqual(client.say("MAIL FROM:<a@x.example>"), ["550 5.7.1 second"])
        sources[1] = []
        self.assertTrue(client.say("MAIL FROM:<a@x.example>")[0].startswith("250 "))

    def test_equal_again(self) -> None:
        """Filters that are read again and are equal are compared once, not at every command."""
        compared: list[object] = []

        class Watched(list[Filter]):
            """Knows how often it has been compared."""

            def __eq__(self, other: object) -> bool:
                compared.append(other)
                return super().__eq__(other)

            __hash__ = None  # type: ignore[assignment]

        own = Watched(filters('M, "*bad*", F'))
        client = Site(checks=[Filters([lambda: own])]).connect()
        own = Watched(filters('M, "*bad*", F'))
        for _ in range(2):
            self.assertEqual(client.say("MAIL FROM:<bad@example.com>")[0][:3], "554")
            self.assertEqual(len(compared), 1)
