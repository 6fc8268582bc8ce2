"""What holds for every session, sensible or not: sessions put together at random."""

from __future__ import annotations

from base64 import b64encode

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.scram import ScramServer
from hermes.protocols.smtp import events
from hermes.protocols.smtp.parameters import MAX_SASL_OCTETS
from tests.support.scram import ScramClient
from tests.support.smtp_owner import SERVER_PART, Owner

SCRAM = ScramClient(password="secret", nonce="abc")
PROOF = SCRAM.final(ScramServer("SCRAM-SHA-256", plus_offered=False).step(SCRAM.first()).proceed(SERVER_PART).octets)

#: Commands, parts of messages, responses, and garbage, all of which may come anywhere.
PARTS = st.sampled_from(
    [
        b"EHLO client.example.com\r\n",
        b"HELO client.example.com\r\n",
        b"LHLO client.example.com\r\n",
        b"MAIL FROM:<a@example.com>\r\n",
        b"MAIL FROM:<> BODY=BINARYMIME SMTPUTF8\r\n",
        b"MAIL FROM:<unknown@example.com>\r\n",
        b"RCPT TO:<b@example.org>\r\n",
        b"RCPT TO:<c@example.org>\r\n",
        b"RCPT TO:<unknown@example.org>\r\n",
        b"DATA\r\n",
        b"text\r\n",
        b"..\r\n",
        b".\r\n",
        b"\r\n.\r\n",
        b"BDAT 5\r\n",
        b"BDAT 5\r\ntext\n",
        b"BDAT 6 LAST\r\ntext\r\n",
        b"BDAT 0 LAST\r\n",
        b"BDAT 21\r\n",
        b"RSET\r\n",
        b"NOOP\r\n",
        b"AUTH LOGIN\r\n",
        b"AUTH PLAIN AHRpbQBzZWNyZXQ=\r\n",
        b"AUTH SCRAM-SHA-256 " + b64encode(SCRAM.first()) + b"\r\n",
        b64encode(PROOF) + b"\r\n",
        b"\r\n",
        b"dGlt\r\n",
        b"*\r\n",
        b"VRFY x\r\n",
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03",
        b"\r",
        b"\n",
        b"\x00",
        b"\xff",
        b" ",
        b"x" * 3000,
    ]
)
SESSIONS = st.lists(PARTS, max_size=25).map(b"".join)
FLAVORS = st.sampled_from(list(events.Flavor))
SIZES = st.integers(1, 400)


class AnySessionTests(SynchronousTestCase):
    """Random sessions."""

    @settings(max_examples=300, deadline=None)
    @given(SESSIONS, FLAVORS, SIZES, st.booleans())
    def test_any(self, octets: bytes, flavor: events.Flavor, size: int, normalize: bool) -> None:
        """Cutting changes nothing, every event gets one reply, and nothing is kept beyond the longest line."""
        parameters = {
            "flavor": flavor,
            "mechanisms_in_clear": ("SCRAM-SHA-256", "PLAIN", "LOGIN"),
            "max_size_octets": 20,
            "max_recipients": 2,
            "max_messages": 3,
            "normalize_newlines": normalize,
        }
        whole, cut = Owner(**parameters), Owner(**parameters)
        whole.receive(octets)
        for start in range(0, len(octets), size):
            cut.receive(octets[start : start + size])
            self.assertLess(len(cut.engine._buffer), MAX_SASL_OCTETS)
        self.assertEqual(cut.events, whole.events)
        self.assertEqual(cut.messages, whole.messages)
        self.assertEqual(cut.output, whole.output)
        self.assertEqual(cut.engine.closing, whole.engine.closing)
        replies = [line for line in whole.output.splitlines() if line[3:4] == b" "]
        if flavor is not events.Flavor.LMTP:
            # A BDAT is answered when its chunk has come, not when the message begins.
            silent = [each for each in whole.events if isinstance(each, events.MessageStarted) and each.chunking]
            self.assertEqual(len(replies), len(whole.events) - len(silent))
