"""Connection control: the narrowest range decides."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.config.schema import ACCESS_SERVERS, AccessSettings
from hermes.core.access_entry import AccessEntry
from hermes.core.address_range import AddressRange
from hermes.interfaces import IAccess
from hermes.policy.access import Access

#: Few addresses, so that ranges meet, touch and overlap; the last ones of all are among them.
_TOP = {4: 2**32 - 1, 6: 2**128 - 1}
_NUMBERS = st.integers(0, 24)


def _range(version: int, ends: tuple[int, int], *, at_top: bool) -> AddressRange:
    first, last = sorted(ends)
    if at_top:
        first, last = _TOP[version] - last, _TOP[version] - first
    return AddressRange(version, first, last)


_RANGES = st.builds(_range, st.sampled_from([4, 6]), st.tuples(_NUMBERS, _NUMBERS), at_top=st.booleans())
_ENTRIES = st.lists(
    st.tuples(st.lists(_RANGES, max_size=4), st.sampled_from([(), ("smtp",), ("pop3",), ("pop3", "smtp")])), max_size=8
)


def entries(**ranges: str) -> dict[str, AccessSettings]:
    """Entries by name, with ranges as they are written; one whose name begins with ``not`` refuses."""
    return {
        name: AccessSettings(
            tuple(AddressRange.parse(text) for text in texts.split()),
            action="refuse" if name.startswith("not") else "allow",
        )
        for name, texts in ranges.items()
    }


class AccessTests(SynchronousTestCase):
    """Who decides about whom."""

    def name(self, access: Access, peer: str, server: str = "smtp") -> str:
        """The entry that decides, or an empty string."""
        entry = access.entry(peer, server)
        return entry.name if entry is not None else ""

    def test_interface(self) -> None:
        """It is what the gate and the relay policy are given."""
        self.assertTrue(verifyObject(IAccess, Access({})))

    def test_nothing_said(self) -> None:
        """Without entries, and outside of all entries, nobody is in one."""
        self.assertIsNone(Access({}).entry("192.0.2.1", "smtp"))
        access = Access(entries(office="192.0.2.10-192.0.2.20"))
        names = [self.name(access, f"192.0.2.{n}") for n in (9, 10, 20, 21)]
        self.assertEqual(names, ["", "office", "office", ""])

    def test_narrowest(self) -> None:
        """An exact address wins over a range, and a narrower range over a wider one, in whatever order they stand."""
        said = entries(
            notworld="0.0.0.0/0 ::/0",
            net="192.0.2.0/24",
            notdesk="192.0.2.7",
            room="192.0.2.0-192.0.2.9",
            six="2001:db8::/32",
        )
        for order in (list(said), list(reversed(said))):
            access = Access({name: said[name] for name in order})
            for peer, expected in (
                ("192.0.2.7", "notdesk"),
                ("192.0.2.8", "room"),
                ("192.0.2.10", "net"),
                ("192.0.3.1", "notworld"),
                ("255.255.255.255", "notworld"),
                ("2001:db8::1", "six"),
                ("2001:db9::1", "notworld"),
            ):
                self.assertEqual(self.name(access, peer), expected, peer)

    def test_same_size(self) -> None:
        """Of two ranges of one size that overlap, the first in the file decides about what they share."""
        access = Access(entries(one="192.0.2.0-192.0.2.9", two="192.0.2.5-192.0.2.14"))
        self.assertEqual([self.name(access, f"192.0.2.{n}") for n in (4, 5, 9, 10)], ["one", "one", "one", "two"])

    def test_servers(self) -> None:
        """An entry holds at the servers that it names; one that names none holds at all."""
        said = entries(all="192.0.2.0/24", notreaders="192.0.2.7")
        said["notreaders"] = AccessSettings(said["notreaders"].addresses, action="refuse", servers=("pop3",))
        access = Access(said)
        self.assertEqual([self.name(access, "192.0.2.7", server) for server in ("smtp", "pop3")], ["all", "notreaders"])
        self.assertEqual(self.name(access, "192.0.2.7", "gopher"), "")

    def test_forms_of_peers(self) -> None:
        """IPv4 in the form of IPv6 is IPv4; a zone does not matter; what has no address is in no entry."""
        access = Access(entries(office="192.0.2.0/24", link="fe80::/10", notrest="::/0 0.0.0.0/0"))
        for peer, expected in (
            ("::ffff:192.0.2.7", "office"),
            ("::ffff:c000:207", "office"),
            ("fe80::1%eth0", "link"),
            ("::1", "notrest"),
            ("unix", ""),
            ("", ""),
            ("192.0.2.7:25", ""),
        ):
            self.assertEqual(self.name(access, peer), expected, peer)

    def test_what_is_said(self) -> None:
        """The entry has all that was written, and the name of its rule."""
        addresses = (AddressRange.parse("192.0.2.7"),)
        access = Access(
            {
                "friend": AccessSettings(addresses, relay=True, exempt=True, servers=("smtp",)),
                "foe": AccessSettings(addresses, action="refuse", text="Go away", servers=("pop3",)),
            }
        )
        self.assertEqual(access.entry("192.0.2.7", "smtp"), AccessEntry("friend", relay=True, exempt=True))
        foe = access.entry("192.0.2.7", "pop3")
        self.assertEqual(foe, AccessEntry("foe", refused=True, text="Go away"))
        self.assertEqual(foe and foe.rule, "access.foe")

    @settings(max_examples=300, deadline=None)
    @given(_ENTRIES)
    def test_like_the_definition(self, written: list[tuple[list[AddressRange], tuple[str, ...]]]) -> None:
        """For every address near the entries, the table says what the definition says: smallest, then first."""
        said = {f"e{n}": AccessSettings(tuple(ranges), servers=servers) for n, (ranges, servers) in enumerate(written)}
        access = Access(said)
        for version, make in ((4, IPv4Address), (6, IPv6Address)):
            for number in (*range(27), *(_TOP[version] - n for n in range(27))):
                for server in ACCESS_SERVERS:
                    candidates = [
                        (each.size, order, name)
                        for order, (name, entry) in enumerate(said.items())
                        if not entry.servers or server in entry.servers
                        for each in entry.addresses
                        if each.version == version and each.first <= number <= each.last
                    ]
                    expected = min(candidates)[2] if candidates else ""
                    self.assertEqual(self.name(access, str(make(number)), server), expected)
