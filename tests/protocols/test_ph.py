"""The commands of the CCSO name server (RFC 2378)."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import TestCase

from hermes.core.phone_book import MAX_TERM_CHARACTERS, Term
from hermes.protocols.ph import (
    MAX_LINE_OCTETS,
    MAX_WORDS,
    Event,
    Fields,
    Help,
    Identify,
    PhoneBookServer,
    Query,
    Quit,
    Refused,
    SetOption,
    SiteInfo,
    Status,
)


def event(line: str) -> Event:
    """What one line means."""
    server = PhoneBookServer()
    server.receive(line.encode("utf-8") + b"\n")
    found = server.next_event()
    assert found is not None
    assert server.next_event() is None
    return found


def terms(*words: str) -> tuple[Term, ...]:
    """Terms of words like ``name=joe``."""
    return tuple(Term(*word.split("=")) for word in words)


class CommandTests(TestCase):
    """Lines that are understood."""

    def test_commands(self) -> None:
        """All commands of a book to look things up in, in any case."""
        for line, meaning in (
            ("status", Status()),
            ("SITEINFO", SiteInfo()),
            ("fields", Fields()),
            ("fields Name email", Fields(("name", "email"))),
            ("id 0", Identify("0")),
            ("set", SetOption(())),
            ("set echo=on", SetOption(("echo=on",))),
            ("help", Help()),
            ("quit", Quit()),
            ("exit", Quit()),
            ("stop", Quit()),
        ):
            self.assertEqual(event(line), meaning, line)

    def test_queries(self) -> None:
        """Words without a field are of the name; quotes hold words together for a field; return names fields."""
        for line, meaning in (
            ("query joe", Query(terms("name=joe"))),
            ("ph joe smith", Query(terms("name=joe", "name=smith"))),
            ("query name=joe email=*@example.org", Query(terms("name=joe", "email=*@example.org"))),
            ('query name="joe smith"', Query(terms("name=joe", "name=smith"))),
            ('query "joe smith" return email', Query(terms("name=joe", "name=smith"), ("email",))),
            ("query joe return all", Query(terms("name=joe"), (), everything=True)),
            ("query joe return email phone", Query(terms("name=joe"), ("email", "phone"))),
            ("query NAME=joe RETURN Email", Query(terms("name=joe"), ("email",))),
        ):
            self.assertEqual(event(line), meaning, line)

    def test_line_ends(self) -> None:
        """Lines end in LF or CRLF, wherever they are cut."""
        server = PhoneBookServer()
        found = []
        for octet in b"id 0\r\nquery joe\nquit\r\n":
            server.receive(bytes([octet]))
            while (each := server.next_event()) is not None:
                found.append(each)
        self.assertEqual(found, [Identify("0"), Query(terms("name=joe")), Quit()])


class RefusalTests(TestCase):
    """Lines that are not."""

    def code(self, line: str) -> int:
        """The code of the refusal."""
        refused = event(line)
        assert isinstance(refused, Refused), refused
        return refused.code

    def test_codes(self) -> None:
        """The codes of RFC 2378 4: unknown, read only, no such field, nothing indexed, bad values, syntax."""
        for line, code in (
            ("xyzzy", 514),
            ("", 514),
            ("login joe", 506),
            ("change name=joe make phone=1", 506),
            ("query color=red", 507),
            ("query joe return color", 507),
            ("query phone=1", 515),
            ("query", 599),
            ("query return email", 599),
            ("query *", 512),
            ('query name=""', 512),
            ("query a*b*c*d*e*f", 512),
            ('query "joe', 599),
            (f"query {'x' * (MAX_TERM_CHARACTERS + 1)}", 512),
            (f"query {' x' * (MAX_WORDS + 1)}", 502),
            (f'query "{"x " * (MAX_WORDS + 1)}"', 502),
            (f"query x return {'name ' * MAX_WORDS}", 502),
            (f'query "{"x " * (MAX_WORDS - 1)}" return name email', 502),
        ):
            self.assertEqual(self.code(line), code, line)

    def test_limits(self) -> None:
        """At the limits queries are understood."""
        self.assertIsInstance(event(f"query {'x' * MAX_TERM_CHARACTERS}"), Query)
        self.assertIsInstance(event(f"query{' x' * MAX_WORDS}"), Query)
        self.assertIsInstance(event(f'query "{"x " * MAX_WORDS}"'), Query)
        self.assertIsInstance(event(f"query x return {'name ' * (MAX_WORDS - 1)}"), Query)
        self.assertIsInstance(event(f'query "{"x " * (MAX_WORDS - 1)}" return name'), Query)
        self.assertIsInstance(event("query a*b*c*d*e"), Query)
        self.assertEqual(event("id " + "x" * (MAX_LINE_OCTETS - 4)), Identify("x" * (MAX_LINE_OCTETS - 4)))
        self.assertEqual(self.code("id " + "x" * (MAX_LINE_OCTETS - 3)), 599)

    def test_not_text(self) -> None:
        """What is no text is refused."""
        server = PhoneBookServer()
        for line in (b"query \xff\n", b"query \x1b[2J\n", b"\x00\n"):
            server.receive(line)
            self.assertIsInstance(server.next_event(), Refused)

    @given(st.lists(st.binary(max_size=60), max_size=10))
    def test_anything(self, pieces: list[bytes]) -> None:
        """Every line has one meaning, whatever is in it."""
        server = PhoneBookServer()
        count = 0
        for piece in pieces:
            server.receive(piece)
            while server.next_event() is not None:
                count += 1
        self.assertEqual(count, b"".join(pieces).count(b"\n"))

    @given(st.text(max_size=80))
    def test_any_query(self, text: str) -> None:
        """Every query is understood or refused."""
        self.assertIsInstance(event("query " + "".join(c for c in text if c.isprintable())), Query | Refused)
