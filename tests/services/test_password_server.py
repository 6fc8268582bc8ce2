"""The password server: what is said, what is changed, and what is never told."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from hermes.config.schema import Settings
from hermes.config.sections.password_server import PasswordServerSettings
from hermes.core.account import Account
from hermes.core.outcome import Verdict
from hermes.core.reply import Reply
from hermes.directory.directory import Directory
from hermes.directory.password_change import PasswordChange, PasswordRule
from hermes.interfaces import TooBusyError, UnavailableError
from hermes.services.line_connection import LINGER_SECONDS, SESSION_SECONDS, LineServer
from hermes.services.password_server import MAX_ERRORS, Offices, PasswordServerFactory
from tests.support.accounts import QUICK, MemorySource, directory_of, passwords_with, record
from tests.support.surroundings import LineWire, ListJournal, OpenGate, TokenTLS

OLD, NEW = "the old password", "correct horse battery"


class PasswordServerTests(TestCase):
    """One server, with two accounts."""

    def setUp(self) -> None:
        """Everything around a session."""
        self.clock = Clock()
        self.gate = OpenGate()
        self.journal = ListJournal()
        self.source = MemorySource(record("joe", password=OLD), record("gone", password=OLD, disabled=True))
        self.ended: list[str] = []

    def connect(
        self, peer: str = "127.0.0.1", *, tls: bool = True, implicit: bool = False, **settings: Any
    ) -> LineWire:
        """Connect; the wire has the session as its protocol."""
        server = LineServer(
            "poppass", "here", self.clock, self.gate, self.journal, TokenTLS() if tls else None, implicit, 60
        )
        passwords = passwords_with()
        directory = directory_of(*self.source.table.by_name.values())
        changing = PasswordChange(self.source, passwords, PasswordRule(10, 5))
        offices = Offices(directory, changing, lambda name: self.ended.append(name) or 1)  # type: ignore[func-returns-value]
        self.factory = PasswordServerFactory(server, PasswordServerSettings(**settings), offices, "mail.example.org")
        wire = LineWire(peer)
        self.session = self.factory.buildProtocol(None)
        self.session.makeConnection(wire)
        return wire

    def say(self, wire: LineWire, *lines: str) -> list[str]:
        """Send lines; the first words of the answers."""
        self.session.dataReceived("".join(f"{line}\r\n" for line in lines).encode("utf-8"))
        self.clock.advance(0)
        return self.heard(wire)

    def heard(self, wire: LineWire) -> list[str]:
        """The codes that have come since the last look."""
        text = wire.value().decode("ascii")
        wire.clear()
        return [line[:3] for line in text.split("\r\n")[:-1]]

    def test_dialogue(self) -> None:
        """Every step that goes well is answered 200, for some clients accept nothing else."""
        wire = self.connect()
        self.assertEqual(self.heard(wire), ["200"])
        for line in ("user joe", f"pass {OLD}", f"newpass {NEW}", "quit"):
            self.assertEqual(self.say(wire, line), ["200"], line)
        self.assertTrue(wire.disconnecting)
        ((name, password_hash, _),) = self.source.changed
        self.assertEqual(name, "joe")
        self.assertTrue(QUICK.verify(password_hash, NEW))

    def test_clients(self) -> None:
        """
        The dialogues of two clients as their source has them: what each sends, and what it takes for success.

        poppass-cgi of Debian ends lines in LF, takes 200 alone and says QUIT. The driver "poppassd" of Roundcube's plugin
        "password" ends them in CRLF, takes 2xx and, behind user and pass, 3xx, and leaves without a word.
        """
        for end, verbs, takes in (
            ("\n", ("USER", "PASS", "NEWPASS", "QUIT"), ("200", "200", "200", "200")),
            ("\r\n", ("user", "pass", "newpass"), (r"2\d\d", r"[23]\d\d", r"[23]\d\d", r"2\d\d")),
        ):
            wire = self.connect()
            for (verb, word), taken in zip(zip(verbs, ("joe", OLD, NEW, ""), strict=False), takes, strict=False):
                self.assertRegex(wire.value().decode("ascii"), rf"\A{taken} \S[^\r\n]*\r\n\Z")
                wire.clear()
                self.session.dataReceived(f"{verb} {word}".rstrip().encode("ascii") + end.encode("ascii"))
            self.assertRegex(wire.value().decode("ascii"), rf"\A{takes[-1]} ")
            self.session.connectionLost(Failure(ConnectionDone()))
        self.assertEqual([name for name, _, _ in self.source.changed], ["joe", "joe"])

    def test_other_sessions_end(self) -> None:
        """A changed password ends the account's other sessions, unless that is not wanted."""
        for wanted in (True, False):
            self.ended.clear()
            wire = self.connect(end_sessions=wanted)
            self.say(wire, "USER joe", f"PASS {OLD}", f"NEWPASS {NEW}")
            self.assertEqual(self.ended, ["joe"] if wanted else [])

    def test_trace(self) -> None:
        """The login and the change are in the trace; no password is."""
        wire = self.connect()
        self.say(wire, "USER joe", f"PASS {OLD}", "NEWPASS short", f"NEWPASS {NEW}")
        self.assertEqual([fact["result"] for fact in self.journal.facts("login")], ["accepted"])
        self.assertEqual([fact["result"] for fact in self.journal.facts("password")], ["refused", "changed"])
        self.assertNotIn(OLD, repr(self.journal.events))
        self.assertNotIn(NEW, repr(self.journal.events))

    def test_rule(self) -> None:
        """A password that will not do is refused in words for the person, and another may be tried."""
        wire = self.connect()
        self.say(wire, "USER joe", f"PASS {OLD}")
        self.session.dataReceived(b"NEWPASS short\r\n")
        self.assertEqual(wire.value(), b"500 The new password needs at least 10 characters\r\n")
        wire.clear()
        self.assertEqual(self.say(wire, f"NEWPASS {NEW}"), ["200"])

    def test_nobody_is_told_of(self) -> None:
        """A wrong password, a disabled account and a name that nobody has look the same, and take the same time."""
        for name, password in (("joe", "wrong"), ("gone", OLD), ("nobody", OLD)):
            wire = self.connect()
            self.heard(wire)
            self.assertEqual(self.say(wire, f"USER {name}"), ["200"])
            self.assertEqual(self.say(wire, f"PASS {password}"), [])
            self.clock.advance(0.9)
            self.assertEqual(self.heard(wire), [])
            self.clock.advance(0.2)
            self.assertEqual(wire.value(), b"500 Name or password is wrong\r\n")
        self.assertEqual(self.gate.failures, ["127.0.0.1"] * 3)
        self.assertEqual({fact["result"] for fact in self.journal.facts("login")}, {"refused"})

    def test_broken_tls(self) -> None:
        """A connection that ends with an error of TLS is counted as that; one that is closed is not."""
        self.connect()
        self.session.connectionLost(Failure(SSL.Error([("ssl", "", "handshake failure")])))
        self.connect()
        self.session.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((self.gate.broken_tls, self.gate.present), (1, []))

    def test_leaving_before_the_answer(self) -> None:
        """Who leaves before the answer has made the server hash a password all the same: it counts as a failure."""
        waiting: Deferred[None] = Deferred()

        async def verify(directory: object, name: str, password: str) -> None:
            await waiting

        self.patch(Directory, "verify", verify)
        wire = self.connect()
        self.say(wire, "USER joe", f"PASS {OLD}")
        self.session.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.gate.failures, ["127.0.0.1"])

    def test_failures(self) -> None:
        """Each wrong password takes longer than the one before it, and the last one ends the session."""
        wire = self.connect(max_failures=3)
        self.heard(wire)
        for number in (1, 2, 3):
            self.assertFalse(wire.disconnecting)
            self.say(wire, "USER joe", "PASS wrong")
            self.clock.advance(number - 0.1)
            self.assertEqual(wire.value(), b"")
            self.clock.advance(0.2)
            self.assertEqual(self.heard(wire), ["500"])
        self.assertTrue(wire.disconnecting)

    def test_too_many_failures_elsewhere(self) -> None:
        """Who has guessed too often, at whatever server, is not listened to."""
        self.gate.login = Verdict(Reply.of(454, "4.7.0", "Too many wrong passwords"), "limits.login_failures")
        wire = self.connect()
        self.heard(wire)
        self.assertEqual(self.say(wire, "USER joe", f"PASS {OLD}"), ["200", "500"])
        self.assertTrue(wire.disconnecting)

    def test_in_the_clear(self) -> None:
        """Elsewhere than on this machine nothing is taken in the clear, except from named networks."""
        wire = self.connect("192.0.2.7")
        self.assertEqual(self.say(wire, "USER joe"), ["200", "500"])
        settings = Settings().poppass
        self.assertEqual(settings.clear_networks, ())
        from ipaddress import ip_network

        wire = self.connect("192.0.2.7", clear_networks=(ip_network("192.0.2.0/24"),))
        self.assertEqual(self.say(wire, "USER joe", f"PASS {OLD}"), ["200", "200", "200"])

    def test_tls(self) -> None:
        """STLS begins TLS; what was said before it is forgotten, and what came behind it too."""
        wire = self.connect("192.0.2.7")
        self.heard(wire)
        self.assertEqual(self.say(wire, "STLS", "USER joe"), ["200"])
        self.assertEqual(len(wire.tls), 1)
        self.assertEqual(self.say(wire, f"PASS {OLD}"), ["500"])
        self.assertEqual(self.say(wire, "USER joe", f"PASS {OLD}"), ["200", "200"])

    def test_implicit_tls(self) -> None:
        """TLS comes before the greeting where it comes first."""
        wire = self.connect("192.0.2.7", implicit=True)
        self.assertEqual(len(wire.tls), 1)
        self.assertEqual(self.say(wire, "USER joe"), ["200", "200"])

    def test_errors(self) -> None:
        """So many lines that cannot be, and no more."""
        wire = self.connect()
        self.heard(wire)
        self.assertEqual(self.say(wire, *["XYZZY"] * (MAX_ERRORS - 1)), ["500"] * (MAX_ERRORS - 1))
        self.assertFalse(wire.disconnecting)
        self.assertEqual(self.say(wire, "XYZZY", "HELP"), ["500"])
        self.assertTrue(wire.disconnecting)

    def test_turned_away(self) -> None:
        """Whom the gate does not let in hears why."""
        self.gate.admission = Verdict(Reply.of(421, "4.7.0", "Too many connections"), "limits.rate")
        wire = self.connect()
        self.assertEqual(wire.value(), b"500 Too many connections\r\n")
        self.assertTrue(wire.disconnecting)
        self.assertEqual(self.journal.facts("refused")[0]["rule"], "limits.rate")
        self.assertEqual(len(self.factory.sessions), 0)

    def test_silence(self) -> None:
        """A session ends after a minute of silence, and after ten whatever is said; who does not go is thrown out."""
        wire = self.connect()
        self.clock.advance(59)
        self.assertFalse(wire.disconnecting)
        self.clock.advance(2)
        self.assertTrue(wire.disconnecting)
        self.clock.advance(LINGER_SECONDS)
        self.assertTrue(wire.aborted)
        wire = self.connect()
        for _ in range(int(SESSION_SECONDS // 50)):
            self.assertFalse(wire.disconnecting)
            self.say(wire, "HELP")
            self.clock.advance(50)
        self.assertTrue(wire.disconnecting)

    def test_help(self) -> None:
        """HELP names the commands that are there: STLS where it would begin TLS, and nowhere else."""
        for tls, implicit, offered in ((True, False, True), (False, False, False), (True, True, False)):
            wire = self.connect(tls=tls, implicit=implicit)
            wire.clear()
            self.session.dataReceived(b"HELP\r\nSTLS\r\n")
            self.clock.advance(0)
            said, begun = wire.value().decode("ascii").split("\r\n")[:2]
            self.assertIn("USER, PASS, NEWPASS and QUIT", said)
            self.assertEqual(("STLS" in said, begun[:3]), (offered, "200" if offered else "500"), (tls, implicit))

    def test_leaving(self) -> None:
        """A client that is gone is not counted any more."""
        self.connect()
        self.assertEqual((self.gate.inside, len(self.factory.sessions)), (1, 1))
        self.session.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((self.gate.inside, len(self.factory.sessions)), (0, 0))

    def test_shut_down(self) -> None:
        """When the server stops, sessions end."""
        wire = self.connect()
        self.assertEqual(self.session.describe()["service"], "poppass")
        self.session.shut_down()
        self.assertTrue(wire.disconnecting)

    def test_busy(self) -> None:
        """When too many log in at once it is said, and nobody is blamed."""

        async def busy(name: str, password: str) -> Account | None:
            raise TooBusyError

        wire = self.connect()
        self.heard(wire)
        self.session._offices.directory.verify = busy
        self.assertEqual(self.say(wire, "USER joe", f"PASS {OLD}"), ["200", "500"])
        self.assertEqual(self.gate.failures, [])

    def test_unavailable(self) -> None:
        """When a directory service is down, that is in the log, nobody is blamed, and the session goes on."""

        async def down(name: str, password: str) -> Account | None:
            raise UnavailableError("no directory server answers")

        wire = self.connect()
        self.heard(wire)
        self.session._offices.directory.verify = down
        with capturedLogs() as told:
            self.assertEqual(self.say(wire, "USER joe", f"PASS {OLD}", "HELP"), ["200", "500", "200"])
        self.assertIn("no directory server answers", formatEvent(told[0]) or "")
        self.assertEqual(self.gate.failures, [])

    def test_fault(self) -> None:
        """A fault of ours is logged, says nothing of itself, and the session goes on."""

        async def broken(name: str, password: str) -> Account | None:
            raise RuntimeError("broken directory")

        wire = self.connect()
        self.heard(wire)
        self.session._offices.directory.verify = broken
        self.assertEqual(self.say(wire, "USER joe", f"PASS {OLD}", "HELP"), ["200", "500", "200"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_left_in_the_middle(self) -> None:
        """A change goes on to its end when the client leaves before its answer: other sessions end, and the trace has it."""
        storing: Deferred[None] = Deferred()
        original = self.source.change_password

        async def later(*arguments: Any, **more: Any) -> bool:
            await storing
            return await original(*arguments, **more)

        self.source.change_password = later  # type: ignore[method-assign]
        wire = self.connect()
        self.say(wire, "USER joe", f"PASS {OLD}", f"NEWPASS {NEW}")
        self.session.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((self.ended, self.journal.facts("password")), ([], []))
        storing.callback(None)
        self.assertEqual(len(self.source.changed), 1)
        self.assertEqual(self.ended, ["joe"])
        self.assertEqual([fact["result"] for fact in self.journal.facts("password")], ["changed"])
