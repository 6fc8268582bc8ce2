"""The list of a mailbox: which files are messages, in which order, how large, and under which unique ids."""

from __future__ import annotations

import os
import re

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from hermes.mailbox import listing, maildir, sizes
from hermes.mailbox.listing import Listing, scan
from hermes.mailbox.maildir import DeliveryNames
from hermes.protocols.wire import WireEncoder
from tests.support.maildirs import NOW, Failing, put, queue_id


def names(found: Listing) -> list[bytes]:
    """All names, in order."""
    return [found.name(number) for number in range(len(found))]


def ids(found: Listing) -> list[str]:
    """All unique ids, in order."""
    return [found.unique_id(number) for number in range(len(found))]


class ScanTests(SynchronousTestCase):
    """:func:`hermes.mailbox.listing.scan`."""

    @override
    def setUp(self) -> None:
        self.path = os.path.join(self.mktemp(), "joe")
        maildir.make(self.path)

    def test_empty(self) -> None:
        """A mailbox without messages, and a directory without a maildir, have no messages."""
        self.assertEqual(0, len(scan(self.path)))
        self.assertEqual(0, len(scan(os.path.join(self.path, "nothing"))))

    def test_order(self) -> None:
        """Messages come in the order of their delivery, wherever they are; equal seconds in the order of their names."""
        for directory, name in (
            ("new", "1700000002.a.h,S=1,W=1"),
            ("cur", "1700000003.a.h,S=1,W=1:2,S"),
            ("cur", "1700000001.b.h,S=1,W=1:2,"),
            ("new", "1700000001.a.h,S=1,W=1"),
        ):
            put(self.path, directory, name)
        found = scan(self.path)
        self.assertEqual([b"1700000001.a", b"1700000001.b", b"1700000002.a", b"1700000003.a"], [
            name[:12] for name in names(found)
        ])  # fmt: skip
        self.assertEqual(["new", "cur", "new", "cur"], [found.directory(number) for number in range(4)])

    def test_sizes_from_names(self) -> None:
        """W tells the size wherever it stands before the flags, without the file being opened."""
        self.patch(os, "open", Failing(os.open, OSError(5, "opened"), at=1))
        for number, name in enumerate(("S=1,W=10", "W=10", "W=10,S=1", "X=y,W=10", "S=1,W=10,U=7:2,S")):
            put(self.path, "cur" if ":" in name else "new", f"{number}.a.h,{name}")
        self.assertEqual([10] * 5, list(scan(self.path).wire_sizes))

    def test_sizes_that_names_do_not_tell(self) -> None:
        """A file whose name has no W is measured as it goes over the wire, and is not read a second time."""
        put(self.path, "new", "1.a.h,S=9", b"Subject: x\n\nbody")
        put(self.path, "cur", "2.a.h:2,W=7", b"a\r\nb\n")
        put(self.path, "new", "3.a.h,W=7x", b"")
        expected = [len(b"Subject: x\r\n\r\nbody\r\n"), len(b"a\r\nb\r\n"), 0]
        self.assertEqual(expected, list(scan(self.path).wire_sizes))
        reading = Failing(sizes.wire_size_of_file, OSError(5, "read again"))
        self.patch(sizes, "wire_size_of_file", reading)
        # Another program's flags do not make it another message.
        os.rename(os.path.join(self.path, "new", "1.a.h,S=9"), os.path.join(self.path, "cur", "1.a.h,S=9:2,S"))
        self.assertEqual(expected, list(scan(self.path).wire_sizes))
        self.assertEqual(0, reading.calls)

    def test_what_is_no_message(self) -> None:
        """Directories, links and hidden files are passed over, with and without a size in the name."""
        target = put(self.path, "new", "1.a.h,S=1,W=1")
        for number, name in enumerate(("2.link.h", "3.link.h,S=1,W=1")):
            os.symlink(target, os.path.join(os.fsencode(self.path), b"cur", name.encode()))
            os.mkdir(os.path.join(self.path, "new", f"4{number}.{name[2:]}"))
        put(self.path, "new", ".5.hidden.h,S=1,W=1")
        self.assertEqual([b"1.a.h,S=1,W=1"], names(scan(self.path)))

    def test_unreadable(self) -> None:
        """A file that has to be measured and cannot be read is passed over; the others are there."""
        put(self.path, "new", "1.a.h")
        put(self.path, "new", "2.a.h,S=1,W=1")
        self.patch(sizes, "wire_size_of_file", Failing(sizes.wire_size_of_file, PermissionError(13, "denied")))
        self.assertEqual([b"2.a.h,S=1,W=1"], names(scan(self.path)))

    def test_names_in_no_encoding(self) -> None:
        """A name that is not text is a message like others."""
        put(self.path, "new", b"1.\xff\xfe.h,S=1,W=3")
        found = scan(self.path)
        self.assertEqual(([b"1.\xff\xfe.h,S=1,W=3"], [3]), (names(found), list(found.wire_sizes)))

    def test_as_many_as_are_listed(self) -> None:
        """A mailbox with more messages than are listed shows as many as the limit says."""
        for limit, seen in ((2, 2), (3, 3), (4, 3)):
            self.patch(listing, "MAX_MESSAGES", limit)
            for number in range(3):
                put(self.path, "new", f"{number}.a.h,S=1,W=1")
            self.assertEqual(seen, len(scan(self.path)))


class UniqueIdTests(SynchronousTestCase):
    """RFC 1939 7: 1 to 70 characters from 0x21 to 0x7E, unique in the mailbox, the same for the life of the message."""

    _VALID = re.compile(r"[\x21-\x7e]{1,70}\Z")

    @override
    def setUp(self) -> None:
        self.path = os.path.join(self.mktemp(), "joe")
        maildir.make(self.path)

    def ids(self) -> list[str]:
        """The ids as a session sees them now."""
        return ids(scan(self.path))

    def test_life_of_a_message(self) -> None:
        """The id stays when the message is moved to cur, gets flags, or fields of other programs."""
        unique = DeliveryNames("mail.example.org").unique(queue_id(1), NOW, 0)
        name = maildir.sized(unique, 17, 20)
        put(self.path, "new", name)
        before = os.path.join(self.path, "new", name)
        for after in (f"{name}:2,", f"{name}:2,RS", f"{unique},S=17,W=20,U=5,FMD5=abc:2,FRS", f"{unique}:2,S"):
            self.assertEqual([unique], self.ids())
            os.rename(before, os.path.join(self.path, "cur", after))
            before = os.path.join(self.path, "cur", after)
        self.assertEqual([unique], self.ids())

    def test_longest(self) -> None:
        """A unique part of 69 or 70 characters is the id; for one of 71 a digest stands."""
        for length, written in ((69, 69), (70, 70), (71, 32)):
            name = "1" * length + ",S=1,W=1"
            put(self.path, "new", name)
            (found,) = self.ids()
            self.assertRegex(found, self._VALID)
            self.assertEqual((written, written == length), (len(found), found == "1" * length))
            os.unlink(os.path.join(self.path, "new", name))

    def test_names_that_rfc_1939_does_not_allow(self) -> None:
        """Spaces, control characters, other octets, and nothing at all before the flags, give digests, all different."""
        for name in (b"1 a,W=1", b"1\ta,W=1", b"1\xe9a,W=1", b"1\x7fa,W=1", b",W=1", b"1\na,W=1"):
            put(self.path, "new", name)
        found = self.ids()
        self.assertEqual(6, len(set(found)))
        for one in found:
            self.assertRegex(one, self._VALID)

    def test_two_messages_with_one_unique_part(self) -> None:
        """Neither has the plain id, so that the one that stays can not be taken for the one that was deleted."""
        put(self.path, "new", "1.a.h,S=1,W=1")
        put(self.path, "cur", "1.a.h,S=2,W=2:2,S")
        put(self.path, "cur", "1.a.h-more,S=2,W=2:2,S")
        found = scan(self.path)
        self.assertEqual(3, len(set(ids(found))))
        self.assertNotIn("1.a.h", ids(found))
        self.assertEqual([True, True, False], [found.is_ambiguous(number) for number in range(3)])

    def test_one_name_in_both_directories(self) -> None:
        """The same name in new and in cur, with other flags as well, is as many messages with as many ids."""
        put(self.path, "new", "1.a.h,S=1,W=1")
        put(self.path, "cur", "1.a.h,S=1,W=1:2,")
        put(self.path, "cur", "1.a.h,S=1,W=1:2,S")
        before = self.ids()
        self.assertEqual(3, len(set(before)))
        os.unlink(os.path.join(self.path, "new", "1.a.h,S=1,W=1"))
        self.assertLessEqual(set(self.ids()), set(before))

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["new", "cur"]),
                st.binary(min_size=1, max_size=90).filter(
                    lambda name: b"/" not in name and b"\0" not in name and not name.startswith(b".")
                ),
            ),
            max_size=12,
            unique=True,
        )
    )
    def test_whatever_the_names_are(self, files: list[tuple[str, bytes]]) -> None:
        """Any names give a listing of all of them, with unique ids that RFC 1939 allows."""
        path = os.path.join(self.mktemp(), "any")
        maildir.make(path)
        for directory, name in files:
            put(path, directory, name)
        found = scan(path)
        self.assertEqual(sorted(files), sorted((found.directory(n), found.name(n)) for n in range(len(found))))
        self.assertEqual(len(files), len(set(ids(found))))
        for one in ids(found):
            self.assertRegex(one, self._VALID)


class SizesFileTests(SynchronousTestCase):
    """What was measured is remembered in a file that may be lost or damaged at any time."""

    @override
    def setUp(self) -> None:
        self.path = os.path.join(self.mktemp(), "joe")
        maildir.make(self.path)
        self.file = os.path.join(self.path, sizes.FILE)

    def test_round_trip(self) -> None:
        """What is saved is loaded, odd names included."""
        known = {b"1.a.h": 5, b"2 with space": 0, b"3.\xff": 7}
        sizes.save(self.path, known)
        self.assertEqual(known, sizes.load(self.path))
        self.assertEqual(0o600, os.stat(self.file).st_mode & 0o777)
        self.assertEqual([sizes.FILE], [name for name in os.listdir(self.path) if "sizes" in name])

    def test_names_with_line_ends(self) -> None:
        """Names that hold line ends are not remembered, and harm no others."""
        sizes.save(self.path, {b"a\nb": 1, b"c\rd": 2, b"e": 3})
        self.assertEqual({b"e": 3}, sizes.load(self.path))

    def test_damage(self) -> None:
        """A file that was cut or changed anywhere, or is of another version, says nothing."""
        sizes.save(self.path, {b"1.a.h": 5, b"2.a.h": 6})
        with open(self.file, "rb") as file:
            whole = file.read()
        for position in range(len(whole)):
            for damaged in (whole[:position], whole[:position] + b"#" + whole[position + 1 :]):
                with open(self.file, "wb") as file:
                    file.write(damaged)
                self.assertEqual({}, sizes.load(self.path))

    def test_missing_or_unwritable(self) -> None:
        """Without the file nothing is known; where it cannot be written that is no fault."""
        self.assertEqual({}, sizes.load(self.path))
        sizes.save(os.path.join(self.path, "nowhere"), {b"a": 1})
        self.patch(os, "rename", Failing(os.rename, OSError(28, "No space")))
        sizes.save(self.path, {b"a": 1})
        self.assertEqual({}, sizes.load(self.path))

    def test_what_is_no_file(self) -> None:
        """A pipe or a directory in its place says nothing, and keeps nobody waiting; a link to one that is right neither."""
        os.mkfifo(self.file)
        self.assertEqual({}, sizes.load(self.path))
        os.rename(self.file, self.file + ".pipe")
        self.assertRaises(OSError, sizes.wire_size_of_file, self.file + ".pipe")
        os.mkdir(self.file)
        self.assertEqual({}, sizes.load(self.path))
        os.rmdir(self.file)
        sizes.save(self.path, {b"a": 1})
        os.rename(self.file, self.file + ".elsewhere")
        os.symlink(self.file + ".elsewhere", self.file)
        self.assertEqual({}, sizes.load(self.path))

    def test_a_link_is_not_followed(self) -> None:
        """A link where the file should be made is not written through, and a link to a message is not measured."""
        victim = put(self.path, "cur", "victim", b"precious")
        os.symlink(victim, os.fsencode(self.file + ".new"))
        sizes.save(self.path, {b"a": 1})
        with open(victim, "rb") as file:
            self.assertEqual(b"precious", file.read())
        self.assertRaises(OSError, sizes.wire_size_of_file, self.file + ".new")

    def test_forgotten_with_the_message(self) -> None:
        """Sizes of messages that are gone are not kept for ever."""
        first = put(self.path, "new", "1.a.h")
        put(self.path, "new", "2.a.h")
        scan(self.path)
        os.unlink(first)
        scan(self.path)
        self.assertEqual([b"2.a.h"], list(sizes.load(self.path)))

    @given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"text"]), max_size=20), st.integers(1, 5))
    def test_size_is_what_is_sent(self, pieces: list[bytes], at_once: int) -> None:
        """The size is that of the octets as they are sent, whatever the line ends and however the file is read."""
        octets = b"".join(pieces)
        encoder = WireEncoder(stuffing=False)
        sent = encoder.encode(octets) + encoder.finish()
        self.patch(sizes, "_PIECE_OCTETS", at_once)
        path = put(self.path, "new", "measured", octets)
        self.assertEqual(len(sent), sizes.wire_size_of_file(path))
        self.assertEqual(len(sent), sizes.wire_size_of_data(octets))
        self.assertNotIn(b"\n", sent.replace(b"\r\n", b""))
