"""``hermes schedule``: when the line is open in the coming week."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from typing import Any

import click

from hermes.cli.mercury_file import translated
from hermes.cli.output import config_option, json_option, say, say_json, say_lines, say_table
from hermes.config.loader import load
from hermes.config.mercury_ini import MAX_OCTETS
from hermes.config.mercury_schedule import schedule_of
from hermes.core.connection_schedule import Period, Week, format_day


@click.command()
@config_option
@json_option
@click.option("--days", type=click.IntRange(1, 31), default=7, show_default=True, help="How many days, today included.")
@click.option(
    "--import",
    "mercury",
    metavar="MERCURY.INI",
    type=click.Path(exists=True, dir_okay=False),
    help="Print Mercury's schedule, [MercuryX], as a section, and do nothing else.",
)
def schedule(config: str, as_json: bool, days: int, mercury: str | None) -> None:
    """
    Show when the line is open in the coming week.

    It tells what the file says; hermes status says where the line stands. Times are those of the schedule's zone.
    """
    if mercury is not None:
        _print_section(mercury)
        return
    settings = load(config).schedule
    week = settings.week()
    now = time.time()
    if as_json:
        say_json(
            {
                "enabled": week is not None,
                "clients": settings.clients,
                "servers": settings.servers,
                "days": [] if week is None else list(_days(week, now, days)),
            }
        )
    elif week is None:
        say("There is no schedule: everything is always open.")
    else:
        columns = ("day", "windows", "opens", "first", "last", "on line", "")
        say_table(columns, [_row(each) for each in _days(week, now, days)])
        say(f"It is {_standing(week, now)}. Followed by {', '.join((*settings.clients, *settings.servers))}.")


def _print_section(path: str) -> None:
    with open(path, "rb") as file:
        say_lines(translated(file, "Mercury's configuration", MAX_OCTETS, schedule_of))


def _days(week: Week, now: float, days: int) -> Iterator[dict[str, Any]]:
    first = datetime.fromtimestamp(now, week.zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    for number in range(days):
        # By the wall clock, so that a day is a day when clocks are set, too.
        day = first + timedelta(days=number)
        start, end = day.timestamp(), (day + timedelta(days=1)).timestamp()
        yield {
            "date": day.date().isoformat(),
            "day": day.strftime("%A").lower(),
            "hours": round((end - start) / 3600, 2),
            "windows": format_day(week.days[day.weekday()]),
            "periods": [_period(period, week.zone) for period in week.periods(start, end)],
        }


def _period(period: Period, zone: tzinfo) -> dict[str, str | int]:
    start, end = (datetime.fromtimestamp(at, zone).isoformat() for at in (period.start, period.end))
    return {"start": start, "end": end, "seconds": round(period.end - period.start)}


def _row(day: dict[str, Any]) -> tuple[str, ...]:
    periods = day["periods"]
    minutes = sum(period["seconds"] for period in periods) // 60
    return (
        f"{day['day'][:3].capitalize()} {day['date']}",
        day["windows"],
        str(len(periods)),
        periods[0]["start"][11:16] if periods else "",
        periods[-1]["start"][11:16] if periods else "",
        f"{minutes // 60}h {minutes % 60:02}m",
        "" if day["hours"] == 24 else f"clocks are set: the day has {day['hours']:g} hours",
    )


def _standing(week: Week, now: float) -> str:
    word = "open" if week.is_open(now) else "closed"
    change = week.next_change(now)
    return (
        f"{word} now" if change is None else f"{word} now, until {datetime.fromtimestamp(change, week.zone):%a %H:%M}"
    )
