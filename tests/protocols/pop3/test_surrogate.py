"""Headers in ASCII for clients without UTF-8 (RFC 6856 2.1, RFC 6858), and messages on their way out."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.header import decode_header, make_header

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.header_facts import MAX_HEADER_OCTETS
from hermes.protocols.pop3.outgoing import OutgoingMessage
from hermes.protocols.pop3.surrogate import ascii_header

INVALID = "<invalid@internationalized-address.invalid>"


def decoded(header: bytes, name: str) -> str:
    """A field's value as a client of today reads it."""
    return str(make_header(decode_header(message_from_bytes(header, policy=policy.compat32)[name])))


class SurrogateTests(SynchronousTestCase):
    """Field by field."""

    def convert(self, header: str) -> bytes:
        """The surrogate, which is ASCII in lines that are not too long (RFC 5322 2.1.1, RFC 2047 2)."""
        surrogate = ascii_header(header.encode())
        self.assertTrue(surrogate.isascii(), surrogate)
        self.assertLess(max(map(len, surrogate.splitlines()), default=0), 100)
        return surrogate

    def test_ascii_is_kept(self) -> None:
        """Fields in ASCII stay as they are, to the octet."""
        header = b"Received: from x\n\tby y\nSubject:  two  spaces\nbroken line\n"
        self.assertEqual(ascii_header(header), header)
        self.assertEqual(ascii_header(b""), b"")

    def test_subject(self) -> None:
        """A subject becomes encoded words, and is read as what it was, however long."""
        for subject in ("Gr\u00fc\u00dfe", "\u65e5\u672c\u8a9e" * 50, "a " * 100 + "\u00e9", "\U0001f600" * 20):
            surrogate = self.convert(f"To: a@example.org\nSubject: {subject}\nDate: today\n")
            self.assertEqual(decoded(surrogate, "Subject"), subject.strip())
            self.assertTrue(surrogate.startswith(b"To: a@example.org\nSubject: =?utf-8?b?"))
            self.assertTrue(surrogate.endswith(b"\nDate: today\n"))

    def test_folded(self) -> None:
        """A folded field is one field."""
        surrogate = self.convert("Subject: Gr\u00fc\u00dfe\n aus K\u00f6ln\nX-Note: \u00e9\n")
        self.assertEqual(decoded(surrogate, "Subject"), "Gr\u00fc\u00dfe aus K\u00f6ln")
        self.assertEqual(decoded(surrogate, "X-Note"), "\u00e9")

    def test_display_name(self) -> None:
        """An address in ASCII keeps its address; its display name is encoded."""
        for written in (
            "Jos\u00e9 N\u00fa\u00f1ez <jose@example.org>",
            '"Jos\u00e9 N\u00fa\u00f1ez" <jose@example.org>',
        ):
            surrogate = self.convert(f"From: {written}\n")
            self.assertEqual(decoded(surrogate, "From"), "Jos\u00e9 N\u00fa\u00f1ez <jose@example.org>")

    def test_address(self) -> None:
        """An address outside ASCII becomes one that nobody can answer, and is shown in the display name (RFC 6858 2.1)."""
        for written, shown in (
            ("jos\u00e9@example.org", "jos\u00e9@example.org"),
            ("<jos\u00e9@example.org>", "jos\u00e9@example.org"),
            ("Jos\u00e9 <jos\u00e9@example.org>", "Jos\u00e9 <jos\u00e9@example.org>"),
            ('"A \\"B\\"" <a@ex\u00e4mple.org>', 'A "B" <a@ex\u00e4mple.org>'),
        ):
            surrogate = self.convert(f"To: {written}\n")
            self.assertEqual(decoded(surrogate, "To"), f"{shown} {INVALID}", written)

    def test_list(self) -> None:
        """In a list each address is converted by itself, and groups stay groups."""
        surrogate = self.convert(
            'To: a@example.org, "B, c" <b@example.org>, J\u00f6rg <j@example.org> (\u00fc), jos\u00e9@example.org\n'
            "Cc: Gr\u00fcppe: a@example.org, \u00e9@example.org;\n"
        )
        message = message_from_bytes(surrogate, policy=policy.default)
        self.assertEqual(
            [address.addr_spec for address in message["To"].addresses],
            ["a@example.org", "b@example.org", "j@example.org", INVALID[1:-1]],
        )
        self.assertEqual(message["To"].addresses[2].display_name, "J\u00f6rg \u00fc")
        (group,) = message["Cc"].groups
        self.assertEqual(group.display_name, "Gr\u00fcppe")
        self.assertEqual([address.addr_spec for address in group.addresses], ["a@example.org", INVALID[1:-1]])

    def test_parameters(self) -> None:
        """Parameters of MIME fields are encoded by RFC 2231, long ones in parts, and the others stay."""
        for filename in ("r\u00e9sum\u00e9.txt", "\u65e5\u672c\u8a9e" * 40 + ".pdf", 'a "quoted" \u00e9'):
            escaped = filename.replace('"', '\\"')
            surrogate = self.convert(f'Content-Disposition: attachment; size=5; filename="{escaped}"\nX: y\n')
            message = message_from_bytes(surrogate, policy=policy.compat32)
            self.assertEqual(message.get_filename(), filename)
            self.assertEqual(message.get_param("size", header="content-disposition"), "5")
        surrogate = self.convert("Content-Type: text/plain; charset=utf-8; name=\u00e9\n")
        self.assertEqual(message_from_bytes(surrogate).get_content_charset(), "utf-8")

    def test_broken_parameters(self) -> None:
        """What cannot be read as a parameter still becomes ASCII."""
        self.convert('Content-Type: te\u00e9xt; \u00e9=1; name="\u00e9\n')

    def test_other_fields(self) -> None:
        """Other fields that are not ASCII are left out (RFC 6858 2.4), lines that are no fields as well."""
        surrogate = self.convert(
            "Message-ID: <\u00e9@example.org>\nReceived: from x for <\u00e9@example.org>\n\u00e9: x\n\u00e9\nDate: today\n"
        )
        self.assertEqual(surrogate, b"Date: today\n")

    def test_not_utf8(self) -> None:
        """A field that is not UTF-8 is passed on as it came, and does not keep others from being converted."""
        surrogate = ascii_header(b"Subject: caf\xe9\nFrom: \xc3\xa9 <a@example.org>\n")
        self.assertEqual(surrogate, b"Subject: caf\xe9\nFrom: =?utf-8?b?w6k=?= <a@example.org>\n")

    def test_hostile(self) -> None:
        """A header that is made to take long takes no longer than others of its length."""
        for repeated in ('"', '\\"', "(", "\\(", "<", ";a=", ';a="', ';a="\\', ",", "\u00e9,", "=?", "\u00e9@"):
            value = '\u00e9"(' + repeated * (60_000 // len(repeated.encode()))
            for name in ("To", "Subject", "Content-Type"):
                self.assertTrue(ascii_header(f"{name}: {value}\n".encode()).isascii())

    @given(st.text(max_size=200))
    def test_anything(self, text: str) -> None:
        """Whatever a header holds, what comes out is ASCII (or was not UTF-8), and never ends the header early."""
        for name in ("From", "Subject", "Content-Type", "Message-ID"):
            header = f"{name}: {text}".replace("\r", "").replace("\n", " ").encode("utf-8", "ignore") + b"\n"
            surrogate = ascii_header(header)
            self.assertTrue(surrogate.isascii())
            self.assertNotIn(b"\n\n", surrogate)
            if not header.isascii():
                self.assertTrue(all(line.startswith((name.encode(), b" ")) for line in surrogate.split(b"\n")[:-1]))


class OutgoingMessageTests(SynchronousTestCase):
    """From stored text to the wire."""

    MESSAGE = "From: a@example.org\nSubject: \u00e9\n\n\u00e9 .\n.\n".encode()

    def sent(self, message: bytes, *, utf8: bool = False, lines: int | None = None, cut: int = 1 << 16) -> bytes:
        """All that goes out."""
        outgoing = OutgoingMessage(utf8=utf8, lines=lines)
        wire = b""
        for start in range(0, len(message), cut):
            wire += outgoing.take(message[start : start + cut])
            if outgoing.done:
                break
        return wire + outgoing.finish()

    def test_with_utf8(self) -> None:
        """In UTF-8 mode a message goes as it is."""
        for cut in (1, 2, 3, 100):
            self.assertEqual(
                self.sent(self.MESSAGE, utf8=True, cut=cut),
                "From: a@example.org\r\nSubject: \u00e9\r\n\r\n\u00e9 .\r\n..\r\n.\r\n".encode(),
            )

    def test_without_utf8(self) -> None:
        """Otherwise its header is the surrogate, and its body as it is, however it comes."""
        for cut in (1, 2, 3, 100):
            self.assertEqual(
                self.sent(self.MESSAGE, cut=cut),
                "From: a@example.org\r\nSubject: =?utf-8?b?w6k=?=\r\n\r\n\u00e9 .\r\n..\r\n.\r\n".encode(),
            )

    def test_top(self) -> None:
        """TOP counts the lines of the body, and shows the surrogate too."""
        for cut in (1, 2, 3, 100):
            self.assertEqual(
                self.sent(self.MESSAGE, lines=0, cut=cut),
                b"From: a@example.org\r\nSubject: =?utf-8?b?w6k=?=\r\n\r\n.\r\n",
            )

    def test_body_alone(self) -> None:
        """Octets outside ASCII in the body change nothing."""
        message = "Subject: a\n\n\u00e9\n".encode()
        self.assertEqual(self.sent(message), "Subject: a\r\n\r\n\u00e9\r\n.\r\n".encode())
        self.assertEqual(self.sent("\n\u00e9\n".encode()), "\r\n\u00e9\r\n.\r\n".encode())

    def test_whole(self) -> None:
        """A message that is there as a whole goes out as it does in pieces, its header in ASCII or not, and so does its top."""
        for message in (b"", b"A: b", b"A: b\n\n.\n..c\n", b"a\rb\r\n.", self.MESSAGE, "\n\u00e9\n".encode()):
            for utf8, lines in ((False, None), (True, None), (False, 0), (False, 1), (True, 2)):
                outgoing = OutgoingMessage(utf8=utf8, lines=lines)
                self.assertEqual(outgoing.whole(message), self.sent(message, utf8=utf8, lines=lines, cut=1))

    def test_header_alone(self) -> None:
        """A message without a body is converted as well, with or without the end of its last line."""
        for message in (b"Subject: \xc3\xa9\n", b"Subject: \xc3\xa9"):
            for lines in (None, 0):
                self.assertEqual(self.sent(message, lines=lines), b"Subject: =?utf-8?b?w6k=?=\r\n.\r\n")

    def test_nothing(self) -> None:
        """A message without octets is its end alone."""
        self.assertEqual(self.sent(b""), b".\r\n")

    def test_longest_header(self) -> None:
        """A header up to the limit is converted; a longer one is not held back, and goes as it is."""
        for octets, converted in ((MAX_HEADER_OCTETS, True), (MAX_HEADER_OCTETS + 1, False)):
            begin = "Subject: \u00e9\nX-Long: ".encode()
            message = begin + b"x" * (octets - len(begin)) + b"\n\nbody\n"
            wire = self.sent(message, cut=octets)
            self.assertEqual(wire.startswith(b"Subject: =?"), converted)
            self.assertTrue(wire.endswith(b"x\r\n\r\nbody\r\n.\r\n"))
