"""The letter about a day's mail."""

from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.accountability import MAX_LINES, MAX_REASON, Lost, Tally, Waiting, lines, merged


def lost(number: int, reason: str = "550 no such user") -> Lost:
    """Somebody who did not get a message."""
    return Lost(float(number), f"ID{number}", "a@example.org", f"b{number}@example.net", reason)


class LetterTests(SynchronousTestCase):
    """lines() and merged()."""

    def letter(self, tally: Tally) -> str:
        """The text."""
        return "\n".join(lines(tally, "2026-01-31", "mail.example.org"))

    def test_quiet_day(self) -> None:
        """Without mail there are numbers and no lists."""
        text = self.letter(Tally())
        self.assertTrue(text.startswith("Mail at mail.example.org on 2026-01-31\n"))
        for title in ("Still trying", "Given up", "Who sent", "Refused, by rule"):
            self.assertNotIn(title, text)

    def test_numbers(self) -> None:
        """Sent, delivered, still trying, returned; each with its number, and why."""
        tally = Tally(
            Counter(delivered=5, relayed=4, failed=2, expired=1, deferred=7, refused=9, returned=3, discarded=6),
            Counter({"anna": 12, "bob": 20}),
            others=30,
            own=8,
            rules=Counter({"dnsbl.one": 9}),
            lost=[lost(1)],
            waiting=[Waiting("direct:example.net", 40, "451 4.7.1\ncome back\x1b later")],
            waiting_messages=41,
            waiting_recipients=42,
            held=2,
        )
        text = self.letter(tally)
        for line in (
            "      70  messages accepted",
            "      32    from people who had logged in",
            "      30    from other servers and programs",
            "       8    written by this server (reports)",
            "       5  recipients delivered to mailboxes here",
            "       4  recipients handed on to other servers",
            "       3  recipients given up",
            "       6  recipients discarded by a rule",
            "       3  reports sent to senders",
            "       7  attempts that will be repeated",
            "       9  refused before they were accepted",
            "      41  messages",
            "      42  recipients",
            "       2  of these held or paused",
            "ID1  <a@example.org> to <b1@example.net>  550 no such user",
            "... and 2 more",
            "      20  bob\n      12  anna",
            "       9  dnsbl.one",
        ):
            self.assertIn(f"\n{line}\n", text)
        self.assertIn("\n    40  direct:example.net  451 4.7.1", text)
        self.assertNotIn("\x1b", text)

    def test_lengths(self) -> None:
        """However much there was, the letter can be read: lists and reasons are cut, and say so."""
        for count in (MAX_LINES - 1, MAX_LINES, MAX_LINES + 1):
            accounts = Counter({f"u{number:03}": 1 for number in range(count)})
            text = self.letter(Tally(accounts=accounts))
            self.assertEqual(text.count("  u"), min(count, MAX_LINES))
            self.assertIs("... and 1 more" in text, count > MAX_LINES)
        text = self.letter(Tally(Counter(failed=1), lost=[lost(1, "x" * 1000)]))
        self.assertLess(text.count("x"), MAX_REASON + 20)

    def test_merged(self) -> None:
        """Several stores are one: numbers are added, lists put in order."""
        one = Tally(
            Counter(failed=1), Counter(anna=1), 1, 2, Counter(r=1), [lost(2)], [Waiting("d:a", 1, "x")], 1, 2, 3
        )
        other = Tally(
            Counter(failed=2),
            Counter(anna=2),
            3,
            4,
            Counter(r=2),
            [lost(1)],
            [Waiting("d:a", 2, "y"), Waiting("d:b", 9, "z")],
            4,
            5,
            6,
        )
        both = merged([one, other])
        self.assertEqual(
            (both.kinds["failed"], both.accounts["anna"], both.others, both.own, both.rules["r"]), (3, 3, 4, 6, 3)
        )
        self.assertEqual([each.at for each in both.lost], [1.0, 2.0])
        self.assertEqual([(each.destination, each.recipients) for each in both.waiting], [("d:b", 9), ("d:a", 3)])
        self.assertEqual((both.waiting_messages, both.waiting_recipients, both.held), (5, 7, 9))
        self.assertEqual(merged([]), Tally())
