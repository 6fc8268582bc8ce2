"""What EHLO offers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.reply import Reply
from hermes.protocols.smtp.capabilities import Capabilities, parse_capabilities


def parsed(*lines: str) -> Capabilities:
    """The capabilities of a reply with these lines after the first."""
    return parse_capabilities(Reply(250, None, ("mx.example.com hello", *lines)))


class CapabilitiesTests(SynchronousTestCase):
    """Reading the reply to EHLO."""

    def test_nothing(self) -> None:
        """A reply of one line offers nothing but a name."""
        self.assertEqual(parsed(), Capabilities(name="mx.example.com"))
        self.assertEqual(parse_capabilities(Reply(250, None, ("",))), Capabilities())

    def test_everything(self) -> None:
        """Keywords are recognized in any case (RFC 5321 2.4)."""
        found = parsed(
            "pipelining",
            "8BitMime",
            "SMTPUTF8",
            "DSN",
            "STARTTLS",
            "CHUNKING",
            "BINARYMIME",
            "SIZE 1000",
            "AUTH plain LOGIN",
        )
        self.assertEqual(
            found,
            Capabilities(
                name="mx.example.com",
                starttls=True,
                pipelining=True,
                eight_bit=True,
                smtputf8=True,
                dsn=True,
                chunking=True,
                binary=True,
                size_octets=1000,
                mechanisms=("PLAIN", "LOGIN"),
            ),
        )

    def test_binary_needs_chunking(self) -> None:
        """BINARYMIME without CHUNKING cannot be used (RFC 3030 3)."""
        self.assertFalse(parsed("BINARYMIME").binary)

    def test_size(self) -> None:
        """SIZE without a number, with 0 or with nonsense sets no limit (RFC 1870 4)."""
        self.assertIsNone(parsed().size_octets)
        for line in ("SIZE", "SIZE 0", "SIZE many", "SIZE -1", "SIZE " + "9" * 21):
            self.assertEqual(parsed(line).size_octets, 0, line)
        self.assertEqual(parsed("SIZE " + "9" * 20).size_octets, int("9" * 20))

    def test_auth_in_the_old_form(self) -> None:
        """``AUTH=`` is what servers wrote before the standard; both forms together name each mechanism once."""
        self.assertEqual(parsed("AUTH=LOGIN CRAM-MD5", "AUTH LOGIN PLAIN").mechanisms, ("LOGIN", "CRAM-MD5", "PLAIN"))

    def test_limits(self) -> None:
        """RFC 9422: limits of recipients, domains and messages; nonsense is ignored."""
        found = parsed("LIMITS RCPTMAX=20 RCPTDOMAINMAX=1 MAILMAX=5 OTHER=3")
        self.assertEqual((found.max_recipients, found.max_domains, found.max_messages), (20, 1, 5))
        found = parsed("LIMITS RCPTMAX=0 MAILMAX=x RCPTDOMAINMAX")
        self.assertEqual((found.max_recipients, found.max_domains, found.max_messages), (100, None, None))

    def test_empty_lines(self) -> None:
        """An empty line offers nothing."""
        self.assertEqual(parsed("", " "), Capabilities(name="mx.example.com"))
