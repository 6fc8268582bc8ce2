"""The week of the schedule: how a day is written, and what follows from it at any moment, in any zone, when clocks change."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.connection_schedule import (
    CLOSED,
    MAX_WINDOWS,
    MINUTES_A_DAY,
    OPEN,
    Cycle,
    Day,
    Week,
    Window,
    format_day,
    parse_day,
)

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = 3600.0


def week(*days: str, zone: tzinfo = UTC) -> Week:
    """A week of these days, the last one repeated."""
    texts = [*days, *[days[-1]] * (7 - len(days))]
    return Week(tuple(parse_day(text) for text in texts), zone)


def moment(text: str, zone: tzinfo = UTC, fold: int = 0) -> float:
    """Seconds since the epoch of a time on the wall."""
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


class ParseTests(SynchronousTestCase):
    """:func:`parse_day`."""

    def test_readable(self) -> None:
        """Windows, cycles, and what holds for the rest."""
        peak, rest = Cycle(15, 3), Cycle(60, 30)
        self.assertEqual(
            parse_day("08:00-18:00 every 15m for 3m, else every 1h for 30m"),
            (Window(0, 480, rest), Window(480, 1080, peak), Window(1080, MINUTES_A_DAY, rest)),
        )
        self.assertEqual(parse_day("22-24:00 open"), (Window(0, 1320, CLOSED), Window(1320, MINUTES_A_DAY, OPEN)))
        self.assertEqual(parse_day("00:00-24:00 open, else closed"), (Window(0, MINUTES_A_DAY, OPEN),))
        self.assertEqual(
            parse_day(" 12:00 - 13:00  OPEN,\n 0:00-6:00 every 2h for 10m"),
            (
                Window(0, 360, Cycle(120, 10)),
                Window(360, 720, CLOSED),
                Window(720, 780, OPEN),
                Window(780, MINUTES_A_DAY, CLOSED),
            ),
        )

    def test_all_day(self) -> None:
        """One cycle for the whole day; an empty day is closed."""
        for text, cycle in (("open", OPEN), ("closed", CLOSED), ("", CLOSED), ("every 1h for 10m", Cycle(60, 10))):
            self.assertEqual(parse_day(text), (Window(0, MINUTES_A_DAY, cycle),))
        self.assertEqual(parse_day("every 10m for 10m"), parse_day("open"))

    def test_mercury(self) -> None:
        """Mercury's numbers, as its samples have them."""
        self.assertEqual(
            parse_day("0800,1800,3,15,30,60"), parse_day("08:00-18:00 every 15m for 3m, else every 60m for 30m")
        )
        self.assertEqual(
            parse_day("1500,1900,2,30,5,30"), parse_day("15:00-19:00 every 30m for 2m, else every 30m for 5m")
        )
        self.assertEqual(parse_day("0900,1900,2,30,0,0"), parse_day("09:00-19:00 every 30m for 2m"))
        self.assertEqual(parse_day("0000,0000,0,0,5,30"), parse_day("every 30m for 5m"))

    def test_refused(self) -> None:
        """What makes no sense is refused with a remedy."""
        for text, word in (
            ("1031,1035,2,45,-1,0", "-1"),
            ("1800,0800,3,15,30,60", "before it begins"),
            ("2500,2600,1,2,3,4", "no time of day"),
            ("0800,1800,20,15,30,60", "do not fit"),
            ("18:00-08:00 open", "24:00 for midnight"),
            ("08:00-08:00 open", "ends before"),
            ("24:00-25:00 open", "no time of day"),
            ("08:61-09:00 open", "no time of day"),
            ("08:00-18:00", "no cycle"),
            ("08:00-12:00 open, 11:59-13:00 open", "11:59"),
            ("08:00-12:00 open, else sometimes", "no cycle"),
            ("open, closed", "no window"),
            ("else open", "no cycle"),
            ("every 15m for 20m", "do not fit"),
            ("every 90s for 60s", "whole minutes"),
            ("every 0m for 0m", "whole minutes"),
            ("every 2d for 1m", "longer than a day"),
            ("every day for 1m", "not a time"),
        ):
            with self.subTest(text=text):
                self.assertIn(word, str(self.assertRaises(ValueError, parse_day, text)))

    def test_number_of_windows(self) -> None:
        """There are as many windows in a day as can be told apart at a glance, and no more."""
        parts = [
            f"{number // 2:02}:{number % 2 * 30:02}-{number // 2:02}:{number % 2 * 30 + 1:02} open"
            for number in range(30)
        ]
        parse_day(", ".join(parts[:MAX_WINDOWS]))
        self.assertRaises(ValueError, parse_day, ", ".join(parts[: MAX_WINDOWS + 1]))

    @given(st.text(alphabet="0123456789:-, everyforopnclsd+mh\n\u0661", max_size=60))
    def test_any_text(self, text: str) -> None:
        """Whatever is written is read or refused; what is read is a whole day and can be written again."""
        try:
            day = parse_day(text)
        except ValueError:
            return
        self.assertEqual(day[0].start, 0)
        self.assertEqual(day[-1].end, MINUTES_A_DAY)
        for one, other in itertools.pairwise(day):
            self.assertEqual(one.end, other.start)
        for minute in range(0, MINUTES_A_DAY, 7):
            self.assertEqual(_open(day, minute), _open(parse_day(format_day(day)), minute))


def _open(day: Day, minute: int) -> bool:
    return next(each for each in day if minute < each.end).open_at(minute)


class FormatTests(SynchronousTestCase):
    """:func:`format_day`."""

    def test_text(self) -> None:
        """A day as people read it."""
        self.assertEqual(format_day(parse_day("0800,1800,3,15,0,0")), "08:00-18:00 every 15m for 3m")
        self.assertEqual(format_day(parse_day("08:00-12:00 closed")), "closed")
        self.assertEqual(format_day(parse_day("open")), "open")


class WeekTests(SynchronousTestCase):
    """:class:`Week`, where clocks stay as they are."""

    def test_cycle(self) -> None:
        """On line for the first minutes of each cycle, which begins with its window."""
        plan = week("08:05-09:00 every 15m for 3m")
        start = moment("2026-11-23T08:05")
        for seconds, is_open in ((-1, False), (0, True), (179.9, True), (180, False), (899, False), (900, True)):
            self.assertEqual(plan.is_open(start + seconds), is_open, seconds)
        self.assertEqual(plan.next_change(start), start + 180)
        self.assertEqual(plan.next_change(start + 180), start + 900)

    def test_window_cuts_a_cycle(self) -> None:
        """A cycle that has not come to its end ends with its window."""
        plan = week("08:00-08:20 every 15m for 10m")
        self.assertEqual(plan.next_change(moment("2026-11-23T08:15")), moment("2026-11-23T08:20"))

    def test_windows_that_touch(self) -> None:
        """Where one open window follows another, also over midnight, nothing changes."""
        plan = week("20:00-24:00 open", "00:00-02:00 open, 02:00-03:00 open", "closed")
        self.assertEqual(plan.next_change(moment("2026-11-23T21:00")), moment("2026-11-24T03:00"))

    def test_never_and_always(self) -> None:
        """A week without a change has none."""
        for text, is_open in (("open", True), ("closed", False)):
            plan = week(text)
            self.assertEqual(plan.is_open(0.0), is_open)
            self.assertIsNone(plan.next_change(0.0))
        self.assertIsNone(week("closed").next_opening(0.0))
        self.assertEqual(week("open").next_opening(5.0), 5.0)

    def test_once_a_week(self) -> None:
        """A single window in the week is found from its own end on."""
        plan = week("closed", "closed", "12:00-12:01 open", "closed")
        opening = moment("2026-11-25T12:00")
        self.assertEqual(plan.next_opening(opening + 60), opening + 7 * 24 * HOUR)

    def test_periods(self) -> None:
        """What is asked for is cut at both ends."""
        plan = week("08:00-09:00 every 30m for 10m")
        found = [
            (each.start, each.end) for each in plan.periods(moment("2026-11-23T08:05"), moment("2026-11-23T08:35"))
        ]
        self.assertEqual(
            found,
            [
                (moment("2026-11-23T08:05"), moment("2026-11-23T08:10")),
                (moment("2026-11-23T08:30"), moment("2026-11-23T08:35")),
            ],
        )
        self.assertEqual([each.end for each in week("open").periods(0.0, 50.0)], [50.0])


class ClockChangeTests(SynchronousTestCase):
    """The days on which clocks are set: in Berlin on 29 March 2026 (02:00 to 03:00) and 25 October 2026 (03:00 to 02:00)."""

    def periods(self, text: str, day: str, zone: tzinfo = BERLIN) -> list[str]:
        """The periods of a day, as UTC."""
        start = moment(f"{day}T00:00", zone)
        end = (datetime.fromisoformat(day).replace(tzinfo=zone) + timedelta(days=1)).timestamp()
        return [
            f"{datetime.fromtimestamp(each.start, UTC):%H:%M}-{datetime.fromtimestamp(each.end, UTC):%H:%M}"
            for each in week(text, zone=zone).periods(start, end)
        ]

    def test_window_around_the_gap(self) -> None:
        """A window around the hour that is left out is an hour shorter."""
        self.assertEqual(self.periods("01:00-04:00 open", "2026-03-29"), ["00:00-02:00"])

    def test_window_in_the_gap(self) -> None:
        """A window within the hour that is left out does not come that day, and comes again a week later."""
        self.assertEqual(self.periods("02:10-02:50 open", "2026-03-29"), [])
        plan = week("closed", "closed", "closed", "closed", "closed", "closed", "02:10-02:50 open", zone=BERLIN)
        self.assertEqual(plan.next_opening(moment("2026-03-23T00:00", BERLIN)), moment("2026-04-05T02:10", BERLIN))

    def test_window_that_begins_or_ends_in_the_gap(self) -> None:
        """What would begin in it begins when the clocks are set, what would end in it ends then."""
        self.assertEqual(self.periods("02:30-04:00 open", "2026-03-29"), ["01:00-02:00"])
        self.assertEqual(self.periods("01:00-02:30 open", "2026-03-29"), ["00:00-01:00"])

    def test_window_around_the_hour_that_comes_twice(self) -> None:
        """A window around it is an hour longer."""
        self.assertEqual(self.periods("01:00-04:00 open", "2026-10-25"), ["23:00-03:00"])

    def test_window_in_the_hour_that_comes_twice(self) -> None:
        """A window within it comes twice: the clock on the wall shows it twice."""
        self.assertEqual(self.periods("02:10-02:50 open", "2026-10-25"), ["00:10-00:50", "01:10-01:50"])

    def test_window_that_begins_or_ends_there(self) -> None:
        """The wall clock decides at each end, so there are two parts."""
        self.assertEqual(self.periods("02:30-04:00 open", "2026-10-25"), ["00:30-01:00", "01:30-03:00"])
        self.assertEqual(self.periods("01:00-02:30 open", "2026-10-25"), ["23:00-00:30", "01:00-01:30"])

    def test_cycles(self) -> None:
        """Cycles go on by the wall clock: eight more activations in the long night, eight fewer in the short one."""
        usual = len(self.periods("every 15m for 3m", "2026-06-01"))
        self.assertEqual(usual, 96)
        self.assertEqual(len(self.periods("every 15m for 3m", "2026-10-25")), 100)
        self.assertEqual(len(self.periods("every 15m for 3m", "2026-03-29")), 92)

    def test_half_an_hour(self) -> None:
        """Lord Howe Island sets its clocks by half an hour."""
        zone = ZoneInfo("Australia/Lord_Howe")
        self.assertEqual(len(self.periods("every 15m for 3m", "2026-04-05", zone)), 98)
        self.assertEqual(len(self.periods("every 15m for 3m", "2026-10-04", zone)), 94)

    def test_midnight_that_does_not_exist(self) -> None:
        """In Cairo the hour after midnight is left out: the day begins at one."""
        zone = ZoneInfo("Africa/Cairo")
        self.assertEqual(self.periods("00:00-02:00 open", "2026-04-24", zone), ["22:00-23:00"])

    def test_day_that_does_not_exist(self) -> None:
        """Apia had no 30 December 2011, a Friday."""
        zone = ZoneInfo("Pacific/Apia")
        plan = week("closed", "closed", "closed", "closed", "open", "closed", zone=zone)
        found = list(plan.periods(moment("2011-12-28T00:00", zone), moment("2012-01-05T00:00", zone)))
        self.assertEqual(found, [])


ZONES = st.sampled_from(
    [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "America/St_Johns",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "Africa/Cairo",
    ]
).map(ZoneInfo)

DAYS = st.sampled_from(
    [
        "open",
        "closed",
        "every 15m for 3m",
        "every 7m for 2m",
        "01:30-02:30 open",
        "00:00-03:00 every 25m for 5m, else every 2h for 1h",
        "0800,1800,3,15,30,60",
        "22:00-24:00 open, 02:00-03:00 every 10m for 1m",
    ]
)

MOMENTS = st.integers(int(moment("2026-01-01T00:00")), int(moment("2027-12-31T00:00")))
# Around the changes in Berlin, New York, Lord Howe and Cairo.
CHANGES = st.sampled_from(
    [moment(text) for text in ("2026-03-29T01:00", "2026-10-25T01:00", "2026-03-08T07:00", "2026-11-01T06:00")]
).flatmap(lambda at: st.integers(int(at) - 9000, int(at) + 9000))


class PropertyTests(SynchronousTestCase):
    """What holds for every week, in every zone, at every moment."""

    @given(st.lists(DAYS, min_size=7, max_size=7), ZONES, MOMENTS | CHANGES)
    @settings(max_examples=150, deadline=None)
    def test_nothing_changes_before_the_change(self, days: list[str], zone: ZoneInfo, at: int) -> None:
        """Until the next change it is as it was, minute by minute, and from then on it is otherwise."""
        plan = week(*days, zone=zone)
        change = plan.next_change(at)
        now = plan.is_open(at)
        if change is not None:
            self.assertGreater(change, at)
            self.assertNotEqual(plan.is_open(change), now)
            self.assertEqual(plan.is_open(change - 1), now)
        for second in range(at, int(min(change or at + 86400.0, at + 86400.0)), 61):
            self.assertEqual(plan.is_open(second), now)

    @given(st.lists(DAYS, min_size=7, max_size=7), ZONES, MOMENTS | CHANGES)
    @settings(max_examples=50, deadline=None)
    def test_periods_are_the_open_times(self, days: list[str], zone: ZoneInfo, at: int) -> None:
        """Periods follow one another with gaps between them, and hold just the moments that are open."""
        plan = week(*days, zone=zone)
        found = list(plan.periods(at, at + 86400))
        for one, other in itertools.pairwise(found):
            self.assertLess(one.end, other.start)
        for second in range(at, at + 86400, 307):
            self.assertEqual(any(each.start <= second < each.end for each in found), plan.is_open(second))
