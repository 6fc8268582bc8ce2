"""Other servers' names for messages, in their replies."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.remote_id import remote_queue_id


class RemoteIdTests(SynchronousTestCase):
    """remote_queue_id()."""

    def test_known(self) -> None:
        """The forms of common servers."""
        for text, expected in (
            ("Ok: queued as 4F2B7C00", "4F2B7C00"),
            ("2.0.0 accepted as 01K0SP6KZ0T0", "01K0SP6KZ0T0"),
            ("2.0.0 accepted as legitimate mail", ""),
            ("OK id=1rABCD-0001ab-2x", "1rABCD-0001ab-2x"),
            ("4AB1cdXY012345 Message accepted for delivery", "4AB1cdXY012345"),
            ("<x@y> [InternalId=12345678, Hostname=a] Queued mail for delivery", "12345678"),
            ("OK  1700000000 abc123def-456.789 - gsmtp", "abc123def-456.789"),
            ("Accepted as 0123", ""),
            ("fine", ""),
            ("x" * 5000 + " queued as 4F2B7C00", ""),
        ):
            self.assertEqual(remote_queue_id(text), expected, text)
