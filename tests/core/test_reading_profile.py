"""How mailboxes are read: what an account says over what the settings say, and what EXPIRE tells."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.reading_profile import PLAIN, SECONDS_A_DAY, ReadingProfile, expiry_before_login, expiry_text

DAY = SECONDS_A_DAY


class ReadingProfileTests(SynchronousTestCase):
    """:class:`ReadingProfile`."""

    def test_open_questions(self) -> None:
        """What an account does not say is what the settings say; what it denies stays denied."""
        default = ReadingProfile(True, True, True, True, True, 5 * DAY)
        self.assertEqual(ReadingProfile().over(default), default)
        own = ReadingProfile(mark_read=False, expire_seconds=0)
        self.assertEqual(own.over(default), ReadingProfile(False, True, True, True, True, 0))

    def test_plain(self) -> None:
        """Where nobody has said anything, it is as RFC 1939 has it."""
        self.assertEqual(PLAIN, ReadingProfile(True, True, False, False, False, 0))


class ExpiryTests(SynchronousTestCase):
    """What EXPIRE tells (RFC 2449 6.7)."""

    def test_one_account(self) -> None:
        """Whole days, or never; a part of a day does not count, for less must not be kept than is told."""
        for seconds, told in ((0, "NEVER"), (DAY, "1"), (2 * DAY - 1, "1"), (30 * DAY, "30")):
            self.assertEqual(expiry_text(seconds), told)

    def test_before_the_login(self) -> None:
        """The least that is kept for anybody, and USER where it depends on who that is."""
        self.assertEqual(expiry_before_login(0, ()), "NEVER")
        self.assertEqual(expiry_before_login(30 * DAY, ()), "30")
        self.assertEqual(expiry_before_login(30 * DAY, (30 * DAY,)), "30")
        self.assertEqual(expiry_before_login(30 * DAY, (0,)), "30 USER")
        self.assertEqual(expiry_before_login(0, (7 * DAY, 14 * DAY)), "7 USER")
