"""Profiles, login constraints, LOGIN-DELAY and EXPIRE in POP3 sessions."""

from __future__ import annotations

from base64 import b64encode

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.schema import POP3Settings
from hermes.core.access_entry import AccessEntry
from hermes.core.reading_profile import PLAIN
from hermes.services.login_times import TIDY_AFTER, LoginTimes
from hermes.services.pop3_connection import WRONG_PASSWORD_SECONDS
from tests.support.mailbox import MailboxRealm, MemoryMailbox
from tests.support.pop3 import Client, Site, Wire

MESSAGES = (
    b"From: Bob <bob@example.org>\nSubject: one\n\nfirst\n",
    b"From: Ann <ann@example.net>\nSubject: two\nPriority: urgent\n\nsecond\n",
    b"From: Bob <bob@example.org>\nSubject: three\n\nthird\n",
)
SIZES = tuple(len(message) + message.count(b"\n") for message in MESSAGES)


class SessionTestCase(SynchronousTestCase):
    """A server with the mailbox of Ada, of whose three messages the first has been read."""

    def setUp(self) -> None:
        """Fill it."""
        self.mailbox = MemoryMailbox(*MESSAGES)
        self.mailbox.seen = {0}
        self.mailbox.times = {0: 1000.0, 1: 2000.0, 2: 3000.0}
        self.site = Site(MailboxRealm(ada=self.mailbox))

    def profile(self, **changes: bool) -> None:
        """Ada reads differently."""
        self.mailbox.reading = attrs.evolve(PLAIN, **changes)  # type: ignore[arg-type]

    def listed(self, client: Client) -> list[str]:
        """The unique ids that UIDL tells."""
        lines = client.say("UIDL").decode().split("\r\n")
        return [line.partition(" ")[2] for line in lines[1:-2]]


class ProfileTests(SessionTestCase):
    """What an account may have otherwise."""

    def test_plain(self) -> None:
        """Without a word about it, all mail is there, and what is fetched is read."""
        client = self.site.log_in()
        self.assertEqual(self.listed(client), ["uid-1", "uid-2", "uid-3"])
        client.say("RETR 2")
        self.assertEqual(self.mailbox.retrieved, {1})

    def test_not_marked_read(self) -> None:
        """With mark_read off, fetching leaves no mark."""
        self.profile(mark_read=False)
        self.assertIn(b"second", self.site.log_in().say("RETR 2"))
        self.assertEqual(self.mailbox.retrieved, set())

    def test_unread_only(self) -> None:
        """With show_read off, mail that was read is not there, and numbers and sizes are of the rest."""
        self.profile(show_read=False)
        client = self.site.log_in()
        self.assertEqual(client.say("STAT"), f"+OK 2 {SIZES[1] + SIZES[2]}\r\n".encode())
        self.assertEqual(self.listed(client), ["uid-2", "uid-3"])
        self.assertIn(b"second", client.say("RETR 1"))
        self.assertEqual(client.say("RETR 3"), b"-ERR there is no such message\r\n")
        client.say("DELE 1", "QUIT")
        self.assertEqual([message is None for message in self.mailbox.messages], [False, True, False])

    def test_marks_in_a_view(self) -> None:
        """Marks are counted and taken back among the messages that are shown."""
        self.profile(show_read=False)
        client = self.site.log_in()
        client.say("DELE 2")
        self.assertEqual(client.say("STAT"), f"+OK 1 {SIZES[1]}\r\n".encode())
        self.assertEqual(client.say("RETR 2"), b"-ERR that message is marked deleted\r\n")
        client.say("RSET")
        self.assertEqual(client.say("STAT"), f"+OK 2 {SIZES[1] + SIZES[2]}\r\n".encode())

    def test_what_could_not_be_deleted(self) -> None:
        """A deletion that fails is told, whatever number the message has in the view."""
        self.profile(show_read=False)
        self.mailbox.undeletable = {2}
        heard = self.site.log_in().say("DELE 1", "DELE 2", "QUIT")
        self.assertIn(b"-ERR [SYS/TEMP] 1 of", heard)
        self.assertEqual([fact["uid"] for fact in self.site.journal.facts("deleted")], ["uid-2"])

    def test_status(self) -> None:
        """With show_status, messages begin with a line that tells whether they were read, and sizes have it in them."""
        self.profile(show_status=True)
        client = self.site.log_in()
        for number, line, self.mailbox.at_once in (
            (1, b"Status: RO\r\n", False),
            (1, b"Status: RO\r\n", True),
            (2, b"Status: N\r\n", False),
            (2, b"Status: N\r\n", True),
        ):
            wire = MESSAGES[number - 1].replace(b"\n", b"\r\n")
            self.assertEqual(
                client.say(f"RETR {number}"), f"+OK {len(line + wire)} octets\r\n".encode() + line + wire + b".\r\n"
            )
            self.assertEqual(client.say(f"LIST {number}"), f"+OK {number} {len(line + wire)}\r\n".encode())
        self.assertTrue(client.say("TOP 3 0").startswith(b"+OK top of message follows\r\nStatus: N\r\nFrom: Bob"))
        self.assertEqual(client.say("STAT"), f"+OK 3 {sum(SIZES) + 12 + 11 + 11}\r\n".encode())

    def test_no_status_unasked(self) -> None:
        """Where nobody asked for it there is no such line."""
        self.assertNotIn(b"Status:", self.site.log_in().say("RETR 1"))

    def test_nothing_is_deleted(self) -> None:
        """With no_delete DELE is answered as always, and neither the mailbox nor the trace has a deletion."""
        self.profile(no_delete=True)
        client = self.site.log_in()
        self.assertEqual(client.say("DELE 1"), b"+OK message 1 marked\r\n")
        self.assertTrue(client.say("QUIT").startswith(b"+OK"))
        self.assertNotIn(None, self.mailbox.messages)
        self.assertEqual(self.site.journal.facts("deleted"), [])

    def test_deleting_is_final(self) -> None:
        """With delete_is_final what is marked goes even when the connection is cut, and that is in the trace."""
        self.profile(delete_is_final=True)
        client = self.site.log_in()
        client.say("DELE 1", "DELE 3")
        client.wire.drop()
        self.assertEqual([message is None for message in self.mailbox.messages], [True, False, True])
        self.assertEqual([fact["uid"] for fact in self.site.journal.facts("deleted")], ["uid-1", "uid-3"])
        self.assertEqual(self.mailbox.calls, ["open", "update", "close"])

    def test_final_with_nothing_marked(self) -> None:
        """Where nothing is marked there is nothing to do at a sudden end."""
        self.profile(delete_is_final=True)
        self.site.log_in().wire.drop()
        self.assertEqual(self.mailbox.calls, ["open", "close"])

    def test_final_and_faulty(self) -> None:
        """A fault at a sudden end is logged, and the mailbox is given back."""
        self.profile(delete_is_final=True)
        self.mailbox.update_fault = OSError("the disk is broken")
        client = self.site.log_in()
        client.say("DELE 1")
        client.wire.drop()
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertFalse(self.mailbox.locked)

    def test_cut_off_otherwise(self) -> None:
        """Without it a session that is cut off deletes nothing (RFC 1939 6)."""
        client = self.site.log_in()
        client.say("DELE 1")
        client.wire.drop()
        self.assertNotIn(None, self.mailbox.messages)

    def test_view_is_a_mailbox(self) -> None:
        """What is shown can be asked what any mailbox can be asked."""
        self.profile(show_read=False)
        client = self.site.log_in()
        maildrop = client.session._maildrop
        assert maildrop is not None
        view = maildrop.mailbox
        self.assertTrue(self.successResultOf(Deferred.fromCoroutine(view.open())))
        self.assertEqual((view.queue_id(0), view.is_seen(0), view.arrived(1)), ("012345678902", False, 3000.0))
        for number in (-1, 2):
            self.assertRaises(ValueError, view.uid, number)
        self.successResultOf(Deferred.fromCoroutine(view.close()))
        self.assertFalse(self.mailbox.locked)


class ConstraintTests(SessionTestCase):
    """Login constraints, as Mercury has them."""

    def constrained(self, text: str) -> list[str]:
        """What a login with these constraints shows."""
        client = self.site.log_in(f"ada ({text})")
        listed = self.listed(client)
        client.say("QUIT")
        return listed

    def test_each(self) -> None:
        """Each constraint shows what it says."""
        for text, shown in (
            ("new", [2, 3]),
            ("UNREAD", [2, 3]),
            ("urgent", [2]),
            ("from=bob@example.org", [1, 3]),
            ("from=bob, new", [3]),
            ("subject=TWO", [2]),
            ("show=example.net", [2]),
            ("omit=example.net", [1, 3]),
            ("since=1 jan 1970 00:30 +0000", [2, 3]),
            ("", [1, 2, 3]),
            ("subject=nothing", []),
        ):
            with self.subTest(text=text):
                self.assertEqual(self.constrained(text), [f"uid-{number}" for number in shown])

    def test_no_time_known(self) -> None:
        """A message of which nobody knows when it came is shown."""
        self.mailbox.times = {}
        self.assertEqual(len(self.constrained("since=1 jan 2030")), 3)

    def test_message_that_is_gone(self) -> None:
        """One that another program takes away meanwhile stops nobody."""
        self.mailbox.gone = {1}
        self.assertEqual(self.constrained("from=bob"), ["uid-1", "uid-3"])

    def test_long_header(self) -> None:
        """Of a header without an end no more is read than is looked at anywhere."""
        self.mailbox.messages[1] = b"X-A: b\n" * 40_000
        self.assertEqual(self.constrained("show=x-a"), ["uid-2"])
        self.assertLess(self.site.reader.pieces, 5)

    def test_unknown(self) -> None:
        """One that there is not is refused in words that help, before the password is looked at."""
        client = self.site.connect()
        heard = client.say("USER ada (fresh)", "PASS secret")
        self.assertIn(b"-ERR FRESH is no constraint of a login; there are NEW, UNREAD", heard)
        self.assertEqual(self.site.checker.asked, [])
        self.assertEqual(self.site.journal.facts("login")[0]["rule"], "login.constraint")
        self.assertTrue(client.say("USER ada (new)", "PASS secret").endswith(b"+OK mailbox open\r\n"))

    def test_counted_for_the_name(self) -> None:
        """Wrong passwords count for the name alone, whatever stands behind it."""
        client = self.site.connect()
        client.say("USER ada (new)", "PASS wrong")
        self.site.clock.advance(WRONG_PASSWORD_SECONDS)
        self.assertEqual(client.take(), b"-ERR [AUTH] wrong name or password\r\n")
        self.assertEqual(self.site.checker.asked, [("ada", "wrong")])
        self.assertEqual([event.address for event in self.site.journal.events], ["ada"])

    def test_plain(self) -> None:
        """AUTH PLAIN takes them too, with the authorization identity that some programs repeat."""
        for octets in (b"\0ada (new)\0secret", b"ada (new)\0ada (new)\0secret"):
            client = self.site.connect()
            encoded = b64encode(octets).decode()
            self.assertTrue(client.say(f"AUTH PLAIN {encoded}").endswith(b"+OK mailbox open\r\n"))
            self.assertEqual(self.listed(client), ["uid-2", "uid-3"])
            client.say("QUIT")

    def test_fault_while_reading(self) -> None:
        """A fault while headers are read is a fault of ours, and the mailbox is given back."""
        self.site.reader.fault_after = 0
        client = self.site.connect()
        self.assertTrue(client.say("USER ada (from=bob)", "PASS secret").endswith(b"try again later\r\n"))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertFalse(self.mailbox.locked)


class LoginDelayTests(SessionTestCase):
    """LOGIN-DELAY (RFC 2449 6.5, 8.1.1)."""

    def setUp(self) -> None:
        """Fifteen minutes."""
        super().setUp()
        self.site.factory.settings = POP3Settings(auth_without_tls="loopback", login_delay=900)
        self.site.clock.advance(1_000_000)

    def login(self, password: str = "secret") -> bytes:
        """Log in and quit; what PASS was answered."""
        client = self.site.connect()
        client.say("USER ada")
        answer = client.say(f"PASS {password}")
        client.say("QUIT")
        return answer

    def test_too_soon(self) -> None:
        """Who has logged in waits for the time that is announced, and not longer; the refusal opens no mailbox for good."""
        self.assertIn(b"LOGIN-DELAY 900\r\n", self.site.connect().say("CAPA"))
        self.assertTrue(self.login().startswith(b"+OK"))
        self.site.clock.advance(899)
        self.assertEqual(self.login(), b"-ERR [LOGIN-DELAY] log in again in 1 s\r\n")
        self.assertFalse(self.mailbox.locked)
        self.site.clock.advance(1)
        self.assertTrue(self.login().startswith(b"+OK"))

    def test_a_refusal_starts_no_new_wait(self) -> None:
        """The time is counted from the login that succeeded (RFC 2449 6.5)."""
        self.login()
        for _ in range(3):
            self.site.clock.advance(299)
            self.assertTrue(self.login().startswith(b"-ERR [LOGIN-DELAY]"))
        self.site.clock.advance(3)
        self.assertTrue(self.login().startswith(b"+OK"))

    def test_wrong_password_learns_nothing(self) -> None:
        """A wrong password is told that it is wrong, and not who has a mailbox."""
        self.login()
        client = self.site.connect()
        client.say("USER ada", "PASS wrong")
        self.site.clock.advance(WRONG_PASSWORD_SECONDS)
        self.assertEqual(client.take(), b"-ERR [AUTH] wrong name or password\r\n")

    def test_off(self) -> None:
        """Without the setting nobody waits."""
        self.site.factory.settings = POP3Settings(auth_without_tls="loopback")
        self.assertTrue(self.login().startswith(b"+OK"))
        self.assertTrue(self.login().startswith(b"+OK"))


class LoginTimesTests(SynchronousTestCase):
    """:class:`LoginTimes`."""

    def test_clock_set_back(self) -> None:
        """A clock that was set back keeps nobody out."""
        times = LoginTimes()
        self.assertEqual(times.seconds_to_wait("ada", 5000.0, 60), 0)
        self.assertEqual(times.seconds_to_wait("ada", 4000.0, 60), 0)
        self.assertEqual(times.seconds_to_wait("ada", 4010.0, 60), 50)

    def test_old_times_are_forgotten(self) -> None:
        """Times that say nothing any more are dropped."""
        times = LoginTimes()
        for number in range(TIDY_AFTER - 1):
            times.seconds_to_wait(f"a{number}", 0.0, 60)
        self.assertEqual(len(times._last), TIDY_AFTER - 1)
        times.seconds_to_wait("ada", 100.0, 60)
        self.assertEqual(list(times._last), ["ada"])


class ExpireTests(SessionTestCase):
    """EXPIRE (RFC 2449 6.7)."""

    def test_before_and_after_the_login(self) -> None:
        """Before the login what holds for all, after it what holds for the account."""
        self.mailbox.reading = attrs.evolve(PLAIN, expire_seconds=7 * 86400)
        self.site.factory._expire = lambda: "5 USER"
        client = self.site.connect()
        self.assertIn(b"\r\nEXPIRE 5 USER\r\n", client.say("CAPA"))
        client.say("USER ada", "PASS secret")
        self.assertIn(b"\r\nEXPIRE 7\r\n", client.say("CAPA"))


class InTheClearTests(SessionTestCase):
    """Who may log in without TLS."""

    def test_entry_of_connection_control(self) -> None:
        """A peer whose entry allows it may, others may not."""
        entries = {"192.0.2.7": AccessEntry("old", login_in_clear=True), "192.0.2.8": AccessEntry("other")}
        self.site.factory._entry_of = entries.get
        self.assertTrue(
            self.site.connect(Wire("192.0.2.7")).say("USER ada", "PASS secret").endswith(b"mailbox open\r\n")
        )
        for peer in ("192.0.2.8", "192.0.2.9"):
            self.assertTrue(
                self.site.connect(Wire(peer)).say("USER ada").startswith(b"-ERR [AUTH] use TLS first"), peer
            )

    def test_no_password(self) -> None:
        """A login without a password is refused before anybody is asked."""
        client = self.site.connect()
        self.assertEqual(client.say("USER ada", "PASS "), b"+OK send PASS\r\n-ERR a name or password is missing\r\n")
        self.assertEqual(self.site.checker.asked, [])
