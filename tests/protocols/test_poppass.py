"""The engine of the password server: the reference daemon's dialogue, and what clients that are in use were seen to send."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import TestCase

from hermes.protocols.poppass import (
    MAX_LINE_OCTETS,
    Event,
    Help,
    NewPassword,
    OldPassword,
    PasswordServer,
    Quit,
    Refused,
    StartTLS,
    User,
)


def engine(*, stls: bool = True, clear: bool = True, tls: bool = False) -> PasswordServer:
    """A session, on this machine unless the test says otherwise."""
    return PasswordServer(stls=stls, clear=clear, tls=tls)


def events(server: PasswordServer, octets: bytes) -> list[Event]:
    """What comes out when octets go in."""
    server.receive(octets)
    found = []
    while (event := server.next_event()) is not None:
        if isinstance(event, OldPassword):
            server.logged_in()
        found.append(event)
    return found


DIALOGUE = b"user joe\r\npass old one\r\nnewpass  new one \r\nquit\r\n"
MEANING = [User("joe"), OldPassword("joe", "old one"), NewPassword(" new one "), Quit()]


class DialogueTests(TestCase):
    """Lines that are understood."""

    def test_dialogue(self) -> None:
        """The four commands in order; a password is the rest of its line, with all its spaces."""
        self.assertEqual(events(engine(), DIALOGUE), MEANING)

    def test_line_feeds_alone(self) -> None:
        """Lines may end in LF."""
        self.assertEqual(events(engine(), DIALOGUE.replace(b"\r", b"")), MEANING)

    def test_any_case(self) -> None:
        """Verbs are known in any case."""
        self.assertEqual(events(engine(), b"UsEr joe\nPASS old one\nNewPass  new one \nQUIT\n"), MEANING)

    def test_byte_by_byte(self) -> None:
        """However the octets are cut."""
        server, found = engine(), []
        for position in range(len(DIALOGUE)):
            found += events(server, DIALOGUE[position : position + 1])
        self.assertEqual(found, MEANING)

    def test_help(self) -> None:
        """HELP is known, and says whether STLS would begin TLS."""
        for stls, tls, offered in (
            (True, False, True),
            (False, False, False),
            (True, True, False),
            (False, True, False),
        ):
            self.assertEqual(events(engine(stls=stls, tls=tls), b"help\r\n"), [Help(offered)])

    def test_not_ascii(self) -> None:
        """Passwords are UTF-8."""
        self.assertEqual(events(engine(), "USER joe\nPASS pässwörd\n".encode())[1], OldPassword("joe", "pässwörd"))

    def test_secrets_are_not_shown(self) -> None:
        """A password is in no representation of an event."""
        shown = repr(events(engine(), DIALOGUE))
        self.assertNotIn("old one", shown)
        self.assertNotIn("new one", shown)


class RefusalTests(TestCase):
    """Lines that cannot be."""

    def refused(self, octets: bytes, server: PasswordServer | None = None) -> str:
        """The rule by which the last line is refused."""
        event = events(server or engine(), octets)[-1]
        assert isinstance(event, Refused), event
        self.assertTrue(event.reply.startswith(b"500 "))
        self.assertTrue(event.reply.endswith(b"\r\n"))
        return event.rule

    def test_order(self) -> None:
        """A password needs a name before it, and a new one a login."""
        self.assertEqual(self.refused(b"PASS x\n"), "protocol.sequence")
        self.assertEqual(self.refused(b"NEWPASS x\n"), "protocol.sequence")
        self.assertEqual(self.refused(b"USER joe\nNEWPASS x\n"), "protocol.sequence")
        self.assertEqual(self.refused(b"USER joe\nPASS x\nPASS y\n"), "protocol.sequence")

    def test_other_name(self) -> None:
        """A new name ends the login of the old one."""
        self.assertEqual(self.refused(b"USER joe\nPASS x\nUSER ann\nNEWPASS y\n"), "protocol.sequence")

    def test_unknown(self) -> None:
        """What is no command is said to be none."""
        for line in (b"XYZZY\n", b"\n", b"GET / HTTP/1.1\n", b"\xff\xfe\n", b"\x00\n"):
            self.assertEqual(self.refused(line), "protocol.unknown_command")

    def test_no_argument(self) -> None:
        """A command without its argument."""
        for line in (b"USER\n", b"USER \n", b"PASS\n", b"NEWPASS\n"):
            self.assertEqual(self.refused(line), "protocol.syntax")

    def test_not_utf8(self) -> None:
        """A password that is no text."""
        self.assertEqual(self.refused(b"USER joe\nPASS \xff\n"), "protocol.syntax")

    def test_line_length(self) -> None:
        """A line has so many octets with its end, and no more; what is behind a longer one is understood."""
        fits = b"PASS ".ljust(MAX_LINE_OCTETS - 1, b"x") + b"\n"
        self.assertIsInstance(events(engine(), b"USER joe\n" + fits)[-1], OldPassword)
        server = engine()
        self.assertEqual(self.refused(b"x" * MAX_LINE_OCTETS + b"\n", server), "protocol.line_too_long")
        self.assertEqual(events(server, b"QUIT\n"), [Quit()])

    def test_endless_line(self) -> None:
        """A line without end takes no more memory than the longest line."""
        server = engine()
        for _ in range(100):
            self.assertEqual(events(server, b"x" * 1000), [])
            self.assertLessEqual(len(server._buffer), MAX_LINE_OCTETS)

    @given(st.lists(st.binary(max_size=60), max_size=12))
    def test_anything(self, pieces: list[bytes]) -> None:
        """Whatever comes in, every line is answered by one event, and nobody is logged in by it."""
        server = engine()
        octets = b"".join(pieces)
        found: list[Event] = []
        for piece in pieces:
            server.receive(piece)
            while (event := server.next_event()) is not None:
                found.append(event)
        self.assertEqual(len(found), octets.count(b"\n"))
        self.assertFalse(any(isinstance(event, NewPassword) for event in found))


class TLSTests(TestCase):
    """What may be said in the clear."""

    def test_clear(self) -> None:
        """Where passwords are not taken in the clear, names are not either; QUIT, HELP and STLS are."""
        server = engine(clear=False)
        found = events(server, b"USER joe\nPASS x\nNEWPASS y\nHELP\nSTLS\nQUIT\n")
        self.assertEqual([event.rule for event in found[:3] if isinstance(event, Refused)], ["tls.required"] * 3)
        self.assertEqual(found[3:], [Help(True), StartTLS(), Quit()])

    def test_after_tls(self) -> None:
        """Nothing of what came before TLS counts, not even what came in behind STLS."""
        server = engine()
        server.receive(b"USER joe\nPASS x\nSTLS\nUSER ann\nPASS z\n")
        self.assertEqual([type(server.next_event()) for _ in range(3)], [User, OldPassword, StartTLS])
        server.logged_in()
        server.tls_started()
        self.assertIsNone(server.next_event())
        self.assertIsInstance(events(server, b"NEWPASS y\n")[0], Refused)
        self.assertIsInstance(events(server, b"PASS y\n")[0], Refused)
        self.assertEqual(events(server, b"STLS\n")[0], Refused("protocol.sequence", b"500 TLS is on already\r\n"))

    def test_not_offered(self) -> None:
        """Without a certificate there is no STLS."""
        event = events(engine(stls=False), b"STLS\n")[0]
        assert isinstance(event, Refused)
        self.assertEqual(event.rule, "tls.unavailable")

    def test_implicit(self) -> None:
        """Under TLS from the first octet everything may be said."""
        self.assertEqual(events(engine(clear=False, tls=True), b"USER joe\n"), [User("joe")])
