"""Signatures that are kept with the messages that wait."""

from __future__ import annotations

import attrs
from zope.interface.verify import verifyObject

from hermes.core.envelope import TLSNeed
from hermes.core.event import Event, Kind
from hermes.core.message import Finished, Signature
from hermes.interfaces import ISignatures
from tests.support.real_spool import START, SpoolTestCase, envelope

ONE = Signature(b"DKIM-Signature: one\n", "example.org/one")
TWO = Signature(b"DKIM-Signature: two\n", "example.org/two")


class TLSNeedTests(SpoolTestCase):
    """What a message asks of its way (RFC 8689)."""

    def test_kept(self) -> None:
        """It outlives a restart."""
        for need in TLSNeed:
            queue_id = self.accept(attrs.evolve(envelope("a@example.com"), tls=need)).queue_id
            self.reopen()
            (found,) = self.done(self.spool.select(queue_id))
            self.assertIs(found.envelope.tls, need)


class SignatureTests(SpoolTestCase):
    """keep_signature() and signature()."""

    def test_kept(self) -> None:
        """It outlives a restart; a later one takes its place; each variant has its own."""
        self.assertTrue(verifyObject(ISignatures, self.spool))
        queue_id = self.accept(envelope("a@example.com")).queue_id
        self.assertIsNone(self.done(self.spool.signature(queue_id, "")))
        self.done(self.spool.keep_signature(queue_id, "", TWO))
        self.done(self.spool.keep_signature(queue_id, "", ONE))
        self.done(self.spool.keep_signature(queue_id, "other", TWO))
        self.reopen()
        self.assertEqual(self.done(self.spool.signature(queue_id, "")), ONE)
        self.assertEqual(self.done(self.spool.signature(queue_id, "other")), TWO)

    def test_gone(self) -> None:
        """It goes with its message, delivered or removed, and none comes after it."""
        first, second = self.accept(envelope("a@example.com")).queue_id, self.accept(envelope("b@example.com")).queue_id
        for queue_id in (first, second):
            self.done(self.spool.keep_signature(queue_id, "", ONE))
        self.done(self.spool.settle(first, [Finished(0)], []))
        self.done(self.spool.remove(second, Event(START, Kind.REMOVED, second)))
        self.done(self.spool.keep_signature(first, "", ONE))
        for queue_id in (first, second):
            self.assertIsNone(self.done(self.spool.signature(queue_id, "")))
