"""Logging in with a token."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.bearer import MAX_STATUS_CHARACTERS
from hermes.protocols.sasl_client import Channel, Login, begin

CHANNEL = Channel(host="server.example.com", port=587)


class BearerTests(SynchronousTestCase):
    """The messages."""

    def test_oauthbearer(self) -> None:
        """The example of RFC 7628 4.1, with its own token, host and port."""
        exchange = begin(
            "OAUTHBEARER", Login("user@example.com", token="vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="), CHANNEL
        )
        self.assertEqual(
            exchange.initial(),
            b"n,a=user@example.com,\x01host=server.example.com\x01port=587\x01"
            b"auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01",
        )
        self.assertTrue(exchange.satisfied)

    def test_name(self) -> None:
        """A comma or equals sign in the name is escaped (RFC 5801 4), so that it cannot end the header."""
        initial = begin("OAUTHBEARER", Login("a,b=c", token="t"), CHANNEL).initial() or b""
        self.assertTrue(initial.startswith(b"n,a=a=2Cb=3Dc,\x01"))

    def test_xoauth2(self) -> None:
        """The form that Google and Microsoft describe."""
        exchange = begin("XOAUTH2", Login("someuser@example.com", token="ya29.vF9dft4"), CHANNEL)
        self.assertEqual(exchange.initial(), b"user=someuser@example.com\x01auth=Bearer ya29.vF9dft4\x01\x01")

    def test_refused(self) -> None:
        """The JSON of a refusal is acknowledged once: by a kvsep (RFC 7628 3.2.3), or by nothing; a second one is not."""
        for mechanism, acknowledgment in (("OAUTHBEARER", b"\x01"), ("XOAUTH2", b"")):
            exchange = begin(mechanism, Login("joe", token="t"), CHANNEL)
            said = b'{"status":"invalid_token","scope":"example_scope"}'
            self.assertEqual(exchange.respond(said), acknowledgment)
            self.assertEqual(exchange.remark, "the token was refused with status invalid_token")
            self.assertFalse(exchange.satisfied)
            self.assertIsNone(exchange.respond(said))

    def test_odd_refusals(self) -> None:
        """Whatever stands in place of the JSON makes one short, printable remark."""
        for said, remark in (
            (b"", "without a status"), (b"\xff", "without a status"), (b"[]", "without a status"), (b"{}", "without a status"),
            (b'{"status":null}', "without a status"), (b'{"status":{}}', "without a status"), (b"[" * 5000, "without a status"),
            (b'{"status":400}', "status 400"), (b'{"status":""}', "status empty"), (b'{"status":"a\\nb\\u001b"}', "status a?b?"),
            (json.dumps({"status": "x" * 1000}).encode(), "status " + "x" * MAX_STATUS_CHARACTERS),
        ):  # fmt: skip
            exchange = begin("XOAUTH2", Login("joe", token="t"), CHANNEL)
            self.assertEqual(exchange.respond(said), b"")
            self.assertTrue(exchange.remark.endswith(remark), exchange.remark)

    @given(st.binary(max_size=200))
    def test_anything(self, said: bytes) -> None:
        """Any challenge is acknowledged, and the remark stays one short line."""
        exchange = begin("OAUTHBEARER", Login("joe", token="t"), CHANNEL)
        self.assertEqual(exchange.respond(said), b"\x01")
        self.assertTrue(exchange.remark.isprintable() and len(exchange.remark) < 120)
