"""Long lists of addresses."""

from __future__ import annotations

import fnmatch
import re
import time

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.address_list import MAX_ADDRESS, MAX_TRIED, AddressList


def listed(*entries: str) -> AddressList:
    """A list of these."""
    found = AddressList()
    for entry in entries:
        found.add(entry)
    return found


class FindTests(SynchronousTestCase):
    """What an entry names."""

    def test_forms(self) -> None:
        """Addresses, domains, all below a domain, the null sender, and wildcards anywhere."""
        for entry, inside, outside in (
            ("joe@example.org", ["joe@example.org", "JOE@Example.ORG"], ["joey@example.org", "joe@example.com", ""]),
            ("*@example.org", ["joe@example.org"], ["joe@a.example.org", "example.org", ""]),
            ("Example.org", ["joe@example.org"], ["joe@a.example.org", "joe@xexample.org"]),
            ("@example.org", ["joe@example.org"], ["joe@a.example.org"]),
            ("*.example.org", ["joe@a.example.org", "joe@b.a.example.org"], ["joe@example.org", "joe@xexample.org"]),
            ("*@*.example.org", ["joe@a.example.org"], ["joe@example.org"]),
            ("<>", [""], ["joe@example.org"]),
            ("joe*@example.org", ["joe@example.org", "joey@example.org"], ["jo@example.org", "joe@example.com"]),
            ("*spam*", ["spam@example.org", "joe@spam.example"], ["joe@example.org", ""]),
            ("*@example.*", ["joe@example.org"], ["joe@an.example.org"]),
            ("j?e@example.org", ["joe@example.org"], ["jooe@example.org", "je@example.org"]),
            ("a+b*@example.org", ["a+bc@example.org"], ["aab@example.org"]),
            ("a[b/w*@example.org", ["a[b/wx@example.org"], ["a[b x@example.org"]),
            ("*.info", ["joe@example.info"], ["joe@info"]),
        ):
            one = listed(entry)
            for address in inside:
                self.assertTrue(one.find(address), (entry, address))
            for address in outside:
                self.assertEqual(one.find(address), "", (entry, address))

    def test_which(self) -> None:
        """The entry that was found is named."""
        one = listed("joe@example.org", "Example.com", "*.example.net", "x*@example.info", "<>", "*spam*")
        for address, entry in (
            ("joe@example.org", "joe@example.org"),
            ("a@example.com", "*@example.com"),
            ("a@b.c.example.net", "*.example.net"),
            ("xy@example.info", "x*@example.info"),
            ("", "<>"),
            ("spam@example.info", "*spam*"),
            ("ham@example.info", ""),
            ("postmaster", ""),
        ):
            self.assertEqual(one.find(address), entry)
        self.assertEqual(len(one), 6)

    def test_mistakes(self) -> None:
        """What names nobody is said."""
        for entry, said in (
            ("Joe <joe@example.org>", "is no address: write one a line"),
            ("a@example.org,b@example.org", "is no address"),
            ("*@", "names no domain"),
            ("@", "names no domain"),
        ):
            self.assertIn(said, str(self.assertRaises(ValueError, AddressList().add, entry)), entry)

    def test_length(self) -> None:
        """There is a longest entry, and nothing longer is looked for."""
        domain = "@example.org"
        for length in (MAX_ADDRESS - 1, MAX_ADDRESS):
            address = "a" * (length - len(domain)) + domain
            self.assertEqual(listed(address).find(address), address)
            self.assertTrue(listed("a*@example.org").find(address))
        address = "a" + address
        self.assertIn("has 257 characters", str(self.assertRaises(ValueError, AddressList().add, address)))
        self.assertEqual(listed("a*@example.org").find(address), "")
        self.assertTrue(listed("+" * (MAX_ADDRESS - 1) + "*"))

    def test_many_wildcards(self) -> None:
        """Of entries that are tried one by one there is a largest number, for a domain and for all."""
        for domain in ("@example.org", ""):
            many = listed(*(f"{number}*x{domain}" for number in range(MAX_TRIED)))
            error = self.assertRaises(ValueError, many.add, f"more*x{domain}")
            self.assertIn("more than 500 entries", str(error))
            many.add("*x@example.com")

    _ENTRIES = st.lists(
        st.one_of(
            st.builds(
                "{}@{}".format, st.text("ab*?+[", min_size=1, max_size=3), st.sampled_from(["x.y", "y", "*.y", "?.y"])
            ),
            st.sampled_from(["*.x.y", "x.y", "a*", "*"]),
        ),
        max_size=5,
    )

    @settings(deadline=None)
    @given(
        _ENTRIES,
        st.builds("{}@{}".format, st.text("abAB+[", min_size=1, max_size=3), st.sampled_from(["x.y", "y", "z.x.y"])),
    )
    def test_same_as_trying_all(self, entries: list[str], address: str) -> None:
        """However it is looked up, the answer is that of trying every entry."""

        def names(entry: str) -> bool:
            if "@" not in entry and ("*" not in entry or entry.startswith("*.")):
                entry = f"*@{entry}"
            if entry.startswith("*@*."):
                return address.lower().rpartition("@")[2].endswith(entry[3:])
            pattern = entry.lower().replace("[", "[[]")
            return re.match(fnmatch.translate(pattern), address.lower()) is not None

        self.assertEqual(bool(listed(*entries).find(address)), any(map(names, entries)))


class TimeTests(SynchronousTestCase):
    """How long it takes."""

    def test_long_list(self) -> None:
        """In a list of 100,000 a thousand look-ups take no time to speak of, whatever is asked."""
        long = listed(
            *(f"user{number}@example{number}.org" for number in range(60_000)),
            *(f"*@bad{number}.example" for number in range(30_000)),
            *(f"*.worse{number}.example" for number in range(10_000)),
        )
        self.assertEqual(len(long), 100_000)
        asked = [
            "user59999@example59999.org",
            "x@bad29999.example",
            "x@a.b.worse9999.example",
            "nobody@" + "a." * 100 + "org",
        ]
        began = time.process_time()
        for _ in range(250):
            for address in asked:
                long.find(address)
        # 5 microseconds each are usual, and 100 microseconds a sixth of one pass through the list.
        self.assertLess(time.process_time() - began, 0.1)
        self.assertEqual([bool(long.find(address)) for address in asked], [True, True, True, False])
