"""Senders rewritten, and back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.address import MAX_ADDRESS_OCTETS
from hermes.core.srs import SRS, VALID_DAYS

DAY = 20_000


class SRSTests(SynchronousTestCase):
    """One server's rewriting."""

    def setUp(self) -> None:
        """Three servers that forward."""
        self.ours = SRS(b"key", "our.example")
        self.other = SRS(b"other key", "other.example")
        self.third = SRS(b"third key", "third.example")

    def back(self, address: str, srs: SRS | None = None, day: int = DAY) -> str | None:
        """Where a report to that address goes."""
        return (srs or self.ours).reverse(address.rpartition("@")[0], day)

    def test_there_and_back(self) -> None:
        """The rewritten sender is at our domain, and leads back to the first."""
        for sender in ("joe@first.example", "a=b+c@first.example", "=x=@first.example", "J.Doe-1@[192.0.2.1]"):
            rewritten = self.ours.forward(sender, DAY)
            self.assertTrue(rewritten.startswith("SRS0="), rewritten)
            self.assertTrue(rewritten.endswith("@our.example"), rewritten)
            self.assertEqual(self.back(rewritten), sender)

    def test_in_any_case(self) -> None:
        """Servers on the way back may write the address in small letters, or in capitals."""
        rewritten = self.ours.forward("joe@first.example", DAY)
        self.assertEqual(self.back(rewritten.lower()), "joe@first.example")
        self.assertEqual(self.back(rewritten.upper()), "JOE@FIRST.EXAMPLE")

    def test_forged(self) -> None:
        """Whoever changes anything of it, or has no key, makes an address that leads nowhere."""
        local_part = self.ours.forward("joe@first.example", DAY).rpartition("@")[0]
        for forged in (
            local_part.replace("joe", "bob"),
            local_part.replace("first", "worst"),
            self.other.forward("joe@first.example", DAY).rpartition("@")[0],
            "SRS0=AAAAAAAA=AA=first.example=joe",
            "SRS0=AAAA=AA=first.example=joe",
            "SRS0=",
            "SRS0",
            "SRS1=AAAAAAAA=first.example==x=y=z=joe",
            "SRS1=first.example",
            "joe",
            "",
        ):
            self.assertIsNone(self.ours.reverse(forged, DAY), forged)

    def test_expiry(self) -> None:
        """It is good for so many days, also where the count of days begins anew, and for a clock that is a day behind."""
        for day in (DAY, 1023, 1024, 2047):
            rewritten = self.ours.forward("joe@first.example", day)
            for later, good in ((-2, False), (-1, True), (0, True), (VALID_DAYS, True), (VALID_DAYS + 1, False)):
                found = self.back(rewritten, day=day + later)
                self.assertEqual(found, "joe@first.example" if good else None, (day, later))

    def test_twice(self) -> None:
        """What another server has rewritten is rewritten so that reports go straight to that server."""
        once = self.other.forward("joe@first.example", DAY)
        twice = self.ours.forward(once, DAY)
        self.assertTrue(twice.startswith("SRS1="), twice)
        self.assertEqual(self.back(twice), once)
        self.assertEqual(self.back(once, self.other), "joe@first.example")

    def test_three_times(self) -> None:
        """However many forward it, the address holds only the first of them and the last."""
        once = self.other.forward("joe@first.example", DAY)
        thrice = self.third.forward(self.ours.forward(once, DAY), DAY)
        self.assertNotIn("our.example", thrice)
        self.assertEqual(self.back(thrice, self.third), once)

    def test_other_separators(self) -> None:
        """Others write + or - behind SRS0; they get back what they wrote."""
        for foreign in ("SRS0+HHHH=TT=first.example=joe@other.example", "srs0-HHHH=TT=first.example=joe@other.example"):
            back = self.back(self.ours.forward(foreign, DAY))
            self.assertEqual(str(back).lower(), foreign.lower())
            self.assertIn(foreign[4:], str(back))

    def test_not_rewritten(self) -> None:
        """The null path, paths without a domain, quoted ones and very long ones stay as they are."""
        long = "x" * (MAX_ADDRESS_OCTETS - len("SRS0=HHHHHHHH=DD=first.example=@our.example"))
        self.assertNotEqual(self.ours.forward(f"{long}@first.example", DAY), f"{long}@first.example")
        for sender in ("", "postmaster", '"a b"@first.example', f"{long}x@first.example"):
            self.assertEqual(self.ours.forward(sender, DAY), sender)

    def test_malformed_rewritten_twice(self) -> None:
        """What only looks like an address rewritten twice is rewritten like any other."""
        for sender in ("SRS1=x@other.example", "SRS1=a=b@other.example"):
            rewritten = self.ours.forward(sender, DAY)
            self.assertTrue(rewritten.startswith("SRS0="))
            self.assertEqual(self.back(rewritten), sender)

    @given(st.text(st.characters(codec="ascii")), st.integers(0, 3000))
    def test_anything(self, text: str, day: int) -> None:
        """Nothing that arrives makes a fault, and nothing without the key leads anywhere."""
        self.ours.is_rewritten(text)
        self.assertIsNone(self.ours.reverse(text, day))
        self.assertIsNone(self.ours.reverse(f"SRS0={text}", day))
        self.assertIsNone(self.ours.reverse(f"SRS1={text}", day))

    @given(st.from_regex(r"[A-Za-z0-9.=+_-]{1,40}", fullmatch=True), st.from_regex(r"[a-z0-9.-]{1,30}", fullmatch=True))
    def test_always_back(self, local_part: str, domain: str) -> None:
        """Every sender that was rewritten is found again."""
        sender = f"{local_part}@{domain}"
        rewritten = self.ours.forward(sender, DAY)
        self.assertNotEqual(rewritten, sender)
        self.assertTrue(SRS.is_rewritten(rewritten.partition("@")[0]))
        found = self.back(rewritten)
        assert found is not None
        self.assertEqual(found.lower(), sender.lower())
