"""A transaction while it is open."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.envelope import BodyType, Envelope, Origin, Recipient
from hermes.core.transaction import Transaction

ORIGIN = Origin("ESMTP", "192.0.2.7", "client.example.com")


class TransactionTests(SynchronousTestCase):
    """The envelope that comes of it."""

    def test_envelope(self) -> None:
        """Everything that MAIL and RCPT said is in the envelope."""
        recipients = [
            Recipient("a@example.org", frozenset({"NEVER"}), "rfc822;x@example.org"),
            Recipient("b@example.org"),
        ]
        transaction = Transaction(
            ORIGIN, "smtp", False, "w@example.com", 10, BodyType.BINARY, True, "FULL", "envid", list(recipients)
        )
        self.assertEqual(
            transaction.envelope(),
            Envelope("w@example.com", tuple(recipients), BodyType.BINARY, True, "FULL", "envid"),
        )

    def test_named_twice(self) -> None:
        """A recipient who was named twice gets one copy, by the first name."""
        names = ["a@example.org", "b@example.org", "A@EXAMPLE.ORG", "b@example.org"]
        transaction = Transaction(ORIGIN, "smtp", False, "", recipients=[Recipient(name) for name in names])
        self.assertEqual([each.address for each in transaction.envelope().recipients], names[:2])
