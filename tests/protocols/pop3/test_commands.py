"""Commands of the TRANSACTION state: from line to event."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.pop3 import events
from hermes.protocols.pop3.events import Event, Refused
from tests.support.pop3_engine import Conversation, in_every_cut


class TransactionCommandTests(SynchronousTestCase):
    """Each command of RFC 1939 5 and 7, well and badly formed."""

    def understood(self, line: str) -> list[Event]:
        """The events for a line, after a login; the same however it is cut."""
        octets = line.encode() + b"\r\n"
        heard = [conversation.logged_in().client(octets) for conversation in in_every_cut()]
        self.assertEqual(heard[0], heard[1])
        self.assertEqual(heard[0], heard[2])
        return heard[0]

    def assert_refused(self, *lines: str) -> None:
        """Each line is refused as malformed."""
        for line in lines:
            (event,) = self.understood(line)
            assert isinstance(event, Refused), line
            self.assertEqual(event.rule, "command.malformed", line)
            self.assertFalse(event.response.positive)

    def test_stat(self) -> None:
        """STAT has no argument."""
        self.assertEqual(self.understood("STAT"), [events.Statistics()])
        self.assert_refused("STAT 1")

    def test_list(self) -> None:
        """LIST has one number or none."""
        self.assertEqual(self.understood("LIST"), [events.ScanListing(None)])
        self.assertEqual(self.understood("LIST 2"), [events.ScanListing(2)])
        self.assert_refused("LIST 1 2", "LIST x", "LIST -1", "LIST 1.5")

    def test_uidl(self) -> None:
        """UIDL has one number or none."""
        self.assertEqual(self.understood("UIDL"), [events.UniqueIds(None)])
        self.assertEqual(self.understood("UIDL 3"), [events.UniqueIds(3)])
        self.assert_refused("UIDL 1 2", "UIDL all")

    def test_retr(self) -> None:
        """RETR has one number."""
        self.assertEqual(self.understood("RETR 1"), [events.Retrieve(1)])
        self.assert_refused("RETR", "RETR 1 2", "RETR one", "RETR +1")

    def test_dele(self) -> None:
        """DELE has one number."""
        self.assertEqual(self.understood("DELE 5"), [events.Delete(5)])
        self.assert_refused("DELE", "DELE 1 2", "DELE *")

    def test_top(self) -> None:
        """TOP has a message number and a number of lines, which may be none."""
        self.assertEqual(self.understood("TOP 1 0"), [events.Top(1, 0)])
        self.assertEqual(self.understood("TOP 1 4294967295"), [events.Top(1, 4294967295)])
        self.assert_refused("TOP", "TOP 1", "TOP 1 2 3", "TOP 1 -1", "TOP a b")

    def test_rset(self) -> None:
        """RSET has no argument."""
        self.assertEqual(self.understood("RSET"), [events.Reset()])
        self.assert_refused("RSET 1")

    def test_any_case(self) -> None:
        """Keywords are recognized in any case (RFC 1939 3)."""
        self.assertEqual(self.understood("reTr 1"), [events.Retrieve(1)])

    def test_spaces(self) -> None:
        """More than one space between words, and spaces at the end, change nothing."""
        self.assertEqual(self.understood("TOP  1   2 "), [events.Top(1, 2)])
        self.assertEqual(self.understood("STAT  "), [events.Statistics()])
        self.assertEqual(self.understood("LIST "), [events.ScanListing(None)])

    def test_digits_of_other_scripts(self) -> None:
        """Only ASCII digits make a number."""
        self.assert_refused("RETR \u0661", "LIST \u00b2")

    def test_numbers(self) -> None:
        """A number of ten digits is taken, a longer one refused; zeros at the front do not matter."""
        self.assertEqual(self.understood("RETR 999999999"), [events.Retrieve(999999999)])
        self.assertEqual(self.understood("RETR 9999999999"), [events.Retrieve(9999999999)])
        self.assertEqual(self.understood("RETR 007"), [events.Retrieve(7)])
        self.assert_refused("RETR 99999999999")

    def test_only_after_the_login(self) -> None:
        """Before the login all of them are out of sequence."""
        for line in ("STAT", "LIST", "UIDL", "RETR 1", "TOP 1 1", "DELE 1", "RSET", "NOOP"):
            (event,) = Conversation().client(line.encode() + b"\r\n")
            assert isinstance(event, Refused), line
            self.assertEqual(event.rule, "command.sequence", line)
