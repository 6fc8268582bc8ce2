"""Tests of :mod:`hermes.core.archived`: what other programs note in a header, and by what a message is known."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.archived import Keeping, Kept, State, opened, status_lines
from hermes.core.header_facts import MAX_HEADER_OCTETS
from tests.support.engines import replay


def kept(data: bytes, keeping: Keeping = Keeping.MBOX) -> tuple[bytes, bytes, State, bytes]:
    """What is stored of a message, its digest, its state and its header; the same however it is cut."""

    def run(pieces: list[bytes]) -> tuple[bytes, bytes, State, bytes]:
        reader = Kept(keeping)
        octets = b"".join(map(reader.feed, pieces)) + reader.finish()
        return octets, reader.digest(), reader.state, reader.header

    found: tuple[bytes, bytes, State, bytes] = replay(data, run)
    return found


class StateTests(SynchronousTestCase):
    """The fields of others."""

    def state(self, *lines: str, keeping: Keeping = Keeping.MBOX) -> State:
        """What a header with these lines says."""
        return opened("".join(f"{line}\n" for line in ("Subject: x", *lines)).encode(), keeping).state

    def test_status(self) -> None:
        """Status and X-Status, as c-client writes them."""
        for lines, flags, is_old in (
            ((), "", False),
            (("Status: ",), "", False),
            (("Status: O",), "", True),
            (("Status: RO",), "S", True),
            (("Status: R",), "S", True),
            (("Status: RO", "X-Status: AF"), "FRS", True),
            (("X-Status: D",), "T", True),
            (("x-status : T",), "D", True),
        ):
            self.assertEqual(self.state(*lines), State(flags, is_old), lines)

    def test_mozilla(self) -> None:
        """X-Mozilla-Status is a number of bits; what is expunged is gone, though it stands there."""
        self.assertEqual(self.state("X-Mozilla-Status: 0001"), State("S", is_old=True))
        self.assertEqual(self.state("X-Mozilla-Status: 1007"), State("FPRS", is_old=True))
        self.assertEqual(self.state("X-Mozilla-Status: 0000"), State())
        self.assertEqual(self.state("X-Mozilla-Status: many"), State())
        self.assertEqual(self.state("X-Mozilla-Status: 0009").gone, "deleted there")

    def test_data_of_a_program(self) -> None:
        """The first message that c-client keeps its own data in is none."""
        self.assertEqual(self.state("X-IMAP: 1234 5").gone, "data of the program that kept it")
        self.assertEqual(self.state("X-IMAPbase: 1234 5").gone, "")

    def test_pegasus(self) -> None:
        """The first number of X-PMFLAGS has a bit for what has been read."""
        for value, expected in (
            ("33554560 0 1 Y08DF4.CNM", State("S", is_old=True)),
            ("128", State("S", is_old=True)),
            ("0 0 1 X.CNM", State()),
            ("x", State()),
            ("99999999999 0", State()),
        ):
            self.assertEqual(self.state(f"X-PMFLAGS: {value}", keeping=Keeping.CNM), expected, value)

    def test_elsewhere(self) -> None:
        """In a maildir such fields are a part of the message, and say nothing."""
        self.assertEqual(self.state("Status: RO", "X-PMFLAGS: 128", keeping=Keeping.MAILDIR), State())

    def test_there_and_back(self) -> None:
        """What is written for flags is read as these flags; P has no letter."""
        for flags in ("", "S", "FRS", "DT", "DFRST"):
            for is_old in {True, bool(flags)}:
                lines = status_lines(flags, is_old=is_old).decode().splitlines()
                self.assertEqual(self.state(*lines), State(flags, is_old), flags)
        self.assertEqual(status_lines("P", is_old=True), b"Status: O\n")
        self.assertEqual(status_lines("", is_old=False), b"")


class KeptTests(SynchronousTestCase):
    """What is stored, and the digest."""

    def test_fields_of_the_file(self) -> None:
        """They are taken out, with the lines that they go on in; others stay, and so does the body."""
        data = b"Subject: x\nStatus: RO\nX-UID: 5\n 6\nContent-Length: 7\nTo: y\n\nStatus: in the body\n"
        octets, _, state, header = kept(data)
        self.assertEqual(octets, b"Subject: x\nTo: y\n\nStatus: in the body\n")
        self.assertEqual((state, header), (State("S", is_old=True), b"Subject: x\nTo: y\n"))
        self.assertEqual(kept(data, Keeping.MAILDIR)[0], data)

    def test_keywords(self) -> None:
        """Keywords stay; a field that only keeps room for them goes."""
        self.assertEqual(kept(b"X-Keywords:     \nX-Mozilla-Keys: work\n\nx\n")[0], b"X-Mozilla-Keys: work\n\nx\n")

    def test_digest(self) -> None:
        """It is that of the message, whatever it was kept in and whatever has become of its state."""
        plain = kept(b"Subject: x\n\nbody\n", Keeping.MAILDIR)[1]
        for data in (
            b"Subject: x\nStatus: RO\n\nbody\n",
            b"Return-Path: <a@example.org>\nSubject: x\n\nbody\n",
            b"Subject: x\nX-Mozilla-Keys:    \n\nbody\n",
        ):
            self.assertEqual({kept(data, keeping)[1] for keeping in Keeping}, {plain}, data)
        for other in (b"Subject: y\n\nbody\n", b"Subject: x\n\nBody\n", b"Subject: x\n\nbody\n\n"):
            self.assertNotEqual(kept(other)[1], plain)

    def test_all_header(self) -> None:
        """A message may end with its header, or begin with its body, or be nothing."""
        self.assertEqual(kept(b"Subject: x\nStatus: O\n")[0], b"Subject: x\n")
        self.assertEqual(kept(b"\nStatus: O\n")[0], b"\nStatus: O\n")
        self.assertEqual(kept(b"")[0], b"")

    def test_longest_header(self) -> None:
        """A header of 64 KiB is looked at, whatever pieces it comes in; a longer one is left as it is."""
        for more, found in ((-1, True), (0, True), (1, False)):
            line = b"Status: RO\n"
            header = line + b"X: " + b"x" * (MAX_HEADER_OCTETS + more - len(line) - 4) + b"\n"
            data = header + b"\nbody\n"
            for place in (MAX_HEADER_OCTETS - 1, MAX_HEADER_OCTETS, MAX_HEADER_OCTETS + 1, len(data)):
                reader = Kept(Keeping.MBOX)
                octets = reader.feed(data[:place]) + reader.feed(data[place:]) + reader.finish()
                self.assertEqual(octets, data[len(line) :] if found else data, (more, place))
                self.assertEqual(reader.state.flags, "S" if found else "")

    def test_memory(self) -> None:
        """Of a header without end no more is held than is looked at."""
        reader = Kept(Keeping.MBOX)
        self.assertEqual(len(reader.feed(b"x" * (MAX_HEADER_OCTETS + 1))), MAX_HEADER_OCTETS + 1)

    @given(st.lists(st.sampled_from((b"Status: RO\n", b"\n", b"a: b\n", b" c\n", b"text\n", b"X-IMAP")), max_size=8))
    def test_any(self, lines: list[bytes]) -> None:
        """Whatever comes is the same in any pieces, and what is stored has the same digest when it comes again."""
        octets, digest, _, _ = kept(b"".join(lines))
        self.assertEqual(kept(octets)[1], digest)
