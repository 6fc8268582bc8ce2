"""``[schedule]``: when clients may go on line (Mercury's module X)."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterator
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import attrs

from hermes.config.finding import Finding
from hermes.config.host_names import domain_fault
from hermes.config.setting import setting
from hermes.core.connection_schedule import DAYS, Week, parse_day

if TYPE_CHECKING:
    from hermes.config.schema import Settings

#: Who goes on line: what the queue sends by, and the collector of mail from elsewhere.
CLIENTS = ("smarthost", "direct", "backup", "collector")

#: Who can be kept from accepting connections: those of [access:NAME].
SERVERS = ("smtp", "pop3", "poppass", "finger", "phonebook")

#: Where the system says which zone it is in.
LOCAL_TIME = "/etc/localtime"

_DAY = "Windows of {0}, see docs/schedule.md. Empty: closed all day."


@attrs.frozen
class ScheduleSettings:
    """
    When the clients go on line: for dial-up lines, and for lines that cost by the minute or must be quiet at night.

    A day is written like 08:00-18:00 every 15m for 3m, else every 1h for 10m; or open, or closed; or as in MERCURY.INI.
    """

    enabled: bool = setting("flag", False, "Whether there is a schedule. Without one everything is always open.")
    time_zone: str = setting("text", "", "Time zone of the windows, like Europe/Berlin. Empty: that of the system.")
    monday: str = setting("text", "", _DAY.format("Mondays"))
    tuesday: str = setting("text", "", _DAY.format("Tuesdays"))
    wednesday: str = setting("text", "", _DAY.format("Wednesdays"))
    thursday: str = setting("text", "", _DAY.format("Thursdays"))
    friday: str = setting("text", "", _DAY.format("Fridays"))
    saturday: str = setting("text", "", _DAY.format("Saturdays"))
    sunday: str = setting("text", "", _DAY.format("Sundays"))
    clients: tuple[str, ...] = setting(
        "words",
        CLIENTS,
        "Which clients follow it: smarthost, direct, backup, collector; or smarthost:NAME for one smart host. The others are "
        "always open.",
    )
    servers: tuple[str, ...] = setting(
        "words",
        (),
        "Which servers take connections only while it is open: smtp, pop3, poppass, finger, phonebook. This machine may always "
        "connect.",
    )
    before: str = setting(
        "text",
        "",
        "Command to run before going on line, without a shell unless you write one. When it fails, all stays closed.",
    )
    before_time: int = setting("time", 120, "How long that command may take.")
    before_delay: int = setting("time", 0, "How long to wait after it, until the line stands.")
    after: str = setting("text", "", "Command to run after going off line, and when the server stops meanwhile.")
    after_time: int = setting(
        "time", 25, "How long that command may take; a server that stops waits half a minute at most."
    )
    drain: bool = setting("flag", True, "Whether what is to be sent is sent before the line is closed.")
    drain_time: int = setting("time", 300, "How much longer the line stays open for that.")
    etrn: tuple[str, ...] = setting(
        "words", (), "Servers, as HOST or HOST:PORT, that are asked by ETRN for the mail they hold, whenever it opens."
    )
    etrn_domains: tuple[str, ...] = setting("words", (), "For which domains. Empty: those in hermes.domains.")

    def follows(self, client: str) -> bool:
        """Whether a client (``direct``, ``smarthost:NAME``) or a server goes by the schedule."""
        followers = (*self.clients, *self.servers)
        return self.enabled and (client in followers or client.partition(":")[0] in followers)

    def week(self) -> Week | None:
        """The week; None where there is no schedule. ValueError tells what is wrong with it."""
        if not self.enabled:
            return None
        return Week(tuple(parse_day(getattr(self, day)) for day in DAYS), zone_of(self.time_zone))


def zone_of(name: str) -> tzinfo:
    """The zone of that name; the system's for an empty one. Raises ValueError."""
    if not name:
        try:
            with open(LOCAL_TIME, "rb") as file:
                return ZoneInfo.from_file(file)
        except (OSError, ValueError):
            # As a system without that file has it.
            return UTC
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise ValueError(
            f"{name!r} is no time zone that this system knows: write one like Europe/Berlin (the package tzdata has them)"
        ) from None


def host_and_port(text: str) -> tuple[str, int]:
    """A server that is asked by ETRN; ValueError when it cannot be one."""
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = text, "25"
    if not port.isascii() or not port.isdigit() or not 0 < int(port[:6]) < 65536:
        raise ValueError(f"{text!r} has no port: write HOST or HOST:PORT")
    if not _is_ipv4(host) and (fault := domain_fault(host)):
        raise ValueError(fault)
    return host.lower(), int(port)


def _is_ipv4(host: str) -> bool:
    parts = host.split(".")
    return len(parts) == 4 and all(
        part.isascii() and part.isdigit() and len(part) < 4 and int(part) < 256 for part in parts
    )


def schedule_findings(settings: Settings) -> Iterator[Finding]:
    """All rules about ``[schedule]`` that are broken."""
    schedule = settings.schedule
    yield from _names(settings)
    for key in ("before", "after"):
        try:
            shlex.split(getattr(schedule, key))
        except ValueError as error:
            yield Finding((("schedule", key),), f"is no command: {str(error).lower()}")
    for host in schedule.etrn:
        try:
            host_and_port(host)
        except ValueError as error:
            yield Finding((("schedule", "etrn"),), str(error))
    for domain in schedule.etrn_domains:
        if fault := domain_fault(domain):
            yield Finding((("schedule", "etrn_domains"),), fault)
    yield from _week(schedule)


def _names(settings: Settings) -> Iterator[Finding]:
    smarthosts = [f"smarthost:{name}" for name in settings.smarthosts]
    for key, names, known in (
        ("clients", settings.schedule.clients, (*CLIENTS, *smarthosts)),
        ("servers", settings.schedule.servers, SERVERS),
    ):
        for name in names:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                remedy = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
                yield Finding((("schedule", key),), f"{name!r} is not one of these: {remedy}")


def _week(schedule: ScheduleSettings) -> Iterator[Finding]:
    sound = True
    for key, read in (("time_zone", zone_of), *((day, parse_day) for day in DAYS)):
        try:
            read(getattr(schedule, key))
        except ValueError as error:
            sound = False
            yield Finding((("schedule", key),), str(error))
    if schedule.enabled and sound and not any(_ever_open(getattr(schedule, day)) for day in DAYS):
        about = (("schedule", "enabled"), ("schedule", "monday"))
        yield Finding(about, "no day has a time at which it is open: write one, like monday = 08:00-18:00 open")


def _ever_open(day: str) -> bool:
    return any(window.cycle.minutes for window in parse_day(day))
