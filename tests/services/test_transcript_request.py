"""X-Transcript-To in a message that is submitted (RFC 3461 5.3)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.smtp.server import Flavor
from tests.services.test_smtp_messages import body_of, plain
from tests.support.smtp_site import Site

MESSAGE = ["Date: today", "Message-ID: <1@example.org>", "X-Transcript-To: alice@example.org", "Subject: x"]
REST = b"Date: today\nMessage-ID: <1@example.org>\nSubject: x\n"


class TranscriptRequestTests(SynchronousTestCase):
    """A request is noted and taken out, where that is offered."""

    def submit(self, *lines: str, transcripts: bool = True, sender: str = "alice@example.org") -> bytes:
        """Submit a message as alice; what is stored, without Return-Path and Received."""
        self.site = Site(flavor=Flavor.SUBMISSION, implicit_tls=True, transcripts=transcripts)
        client = self.site.connect()
        client.say(f"AUTH PLAIN {plain()}", f"MAIL FROM:<{sender}>", "RCPT TO:<bob@example.org>", "DATA")
        self.assertEqual(client.say(*lines, "."), ["250 2.0.0 accepted as 000000000001"])
        (committed,) = self.site.spool.committed
        content = committed.message.content
        rest = committed.octets[content.prefix_octets :]
        self.assertEqual(content.wire_octets, len(rest.replace(b"\n", b"\r\n")))
        self.assertEqual(content.size_octets, len(committed.octets))
        return body_of(committed.octets)

    @property
    def noted(self) -> object:
        """To whom the transcript goes, as the trace has it."""
        return self.site.spool.committed[0].facts.get("transcript_to")

    def test_noted(self) -> None:
        """The field is gone, the trace has the address, and the sizes are right."""
        self.assertEqual(self.submit(*MESSAGE, "", "text"), REST + b"\ntext\n")
        self.assertEqual(self.noted, "alice@example.org")

    def test_in_the_body(self) -> None:
        """Only the header counts."""
        lines = [*MESSAGE[:2], "", "X-Transcript-To: alice@example.org"]
        self.assertTrue(self.submit(*lines).endswith(b"\n\nX-Transcript-To: alice@example.org\n"))
        self.assertIsNone(self.noted)

    def test_header_alone(self) -> None:
        """A message without a body."""
        self.assertEqual(self.submit(*MESSAGE), REST)
        self.assertEqual(self.noted, "alice@example.org")

    def test_without_the_field(self) -> None:
        """A message that asks for nothing stays as it is."""
        self.assertEqual(self.submit(*MESSAGE[:2]), b"Date: today\nMessage-ID: <1@example.org>\n")
        self.assertIsNone(self.noted)

    def test_somebody_else(self) -> None:
        """Who is of another domain gets nothing; the field is taken out all the same."""
        lines = [line.replace("alice@example.org", "victim@example.net") for line in MESSAGE]
        self.assertEqual(self.submit(*lines, "", "text"), REST + b"\ntext\n")
        self.assertIsNone(self.noted)
        self.submit(*MESSAGE, "", "text", sender="")
        self.assertIsNone(self.noted)

    def test_off(self) -> None:
        """Where it is not offered, the field is one like any other."""
        self.assertIn(b"X-Transcript-To", self.submit(*MESSAGE, "", "text", transcripts=False))
        self.assertIsNone(self.noted)

    def test_strangers(self) -> None:
        """Mail of those who have not logged in is not touched."""
        site = Site(transcripts=True)
        client = site.connect()
        client.say("MAIL FROM:<x@example.org>", "RCPT TO:<bob@example.org>", "DATA")
        client.say(*MESSAGE, "", ".")
        (committed,) = site.spool.committed
        self.assertIn(b"X-Transcript-To", committed.octets)
        self.assertNotIn("transcript_to", committed.facts)

    def test_binary(self) -> None:
        """In a binary message the lines are counted as they are."""
        site = Site(flavor=Flavor.SUBMISSION, implicit_tls=True, transcripts=True)
        client = site.connect()
        client.say(
            f"AUTH PLAIN {plain()}", "MAIL FROM:<alice@example.org> BODY=BINARYMIME", "RCPT TO:<bob@example.org>"
        )
        data = "\r\n".join([*MESSAGE, "", "\0"]).encode()
        client.send(b"BDAT %d LAST\r\n%s" % (len(data), data))
        (committed,) = site.spool.committed
        content = committed.message.content
        self.assertEqual(content.wire_octets, len(committed.octets) - content.prefix_octets)
        self.assertTrue(committed.octets.endswith(b"Message-ID: <1@example.org>\r\nSubject: x\r\n\r\n\0"))
        self.assertEqual(committed.facts["transcript_to"], "alice@example.org")
