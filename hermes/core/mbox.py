"""
The mbox format, both ways: many messages in one file, with a line ``From sender date`` in front of each (RFC 4155).

Such a line is known by its date, as mutt and Dovecot know it: text that merely begins with "From " is text. What writers did to
keep text from being taken for such a line is undone: mboxrd puts a ``>`` in front of every line that is "From " behind any number
of ``>``, mboxo only in front of "From " itself. A field ``Content-Length`` is not believed: whoever sent the message may have
written it, and so could hide the messages behind it.

Text goes through in pieces, however large a message is, and whatever its lines are like.
"""

from __future__ import annotations

import enum
import re
from datetime import UTC, datetime, timedelta, timezone

import attrs

from hermes.core.dropped import LineEnds

#: A line in front of a message is no longer than this: it has a path of 256 octets and a date. It also bounds how many ``>`` may
#: stand before a "From " that is quoted or was.
MAX_LINE_OCTETS = 1000

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_DAY = rb"(?:mon|tue|wed|thu|fri|sat|sun)"
_MONTH = rb"(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
_TIME = rb"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d))?"
_YEAR = rb"(?P<year>\d{4})"

# RFC 4155: "a timestamp ... in the format of asctime": Thu Jan  1 10:00:00 2026. Others put a zone, or two words of one, before
# the year or behind it, and UUCP "remote from" a host. Some write the date as RFC 5322 does. White space has been made single.
_ASCTIME = re.compile(
    rb"(?<= )" + _DAY + rb",? " + _MONTH + rb" (?P<day>\d{1,2}) " + _TIME
    + rb"(?P<zone>(?: (?:[a-z]{1,5}|[+-]\d{4})){0,2}) " + _YEAR
    + rb"(?P<after>(?: (?:[a-z]{1,5}|[+-]\d{4}))?)(?: remote from [^ ]+)?\Z",
    re.IGNORECASE,
)  # fmt: skip
_RFC5322 = re.compile(
    rb"(?<= )" + _DAY + rb", (?P<day>\d{1,2}) " + _MONTH + rb" " + _YEAR + rb" " + _TIME
    + rb"(?P<zone>(?: (?:[a-z]{1,5}|[+-]\d{4}|\([a-z]{1,5}\))){0,2})(?P<after>)\Z",
    re.IGNORECASE,
)  # fmt: skip
_OFFSET = re.compile(rb"([+-])(\d\d)(\d\d)")

_SEPARATOR = re.compile(rb"^From [^\n]{0,%d}\n" % (MAX_LINE_OCTETS - len(b"From ")), re.MULTILINE)

# What a line may yet become while its end has not come: a quoted "From ", or one that ends in a date.
_UNDECIDED = re.compile(rb">{0,%d}(?:F(?:r(?:om?)?)?)?\Z" % (MAX_LINE_OCTETS + 1))

_QUOTED = {
    "mboxrd": re.compile(rb"^>(>{0,%d}From )" % MAX_LINE_OCTETS, re.MULTILINE),
    "mboxo": re.compile(rb"^>(From )", re.MULTILINE),
}
_TO_QUOTE = re.compile(rb"^(>{0,%d}From )" % MAX_LINE_OCTETS, re.MULTILINE)


class Quoting(enum.Enum):
    """What is undone in the text of messages."""

    MBOXRD = "mboxrd"
    MBOXO = "mboxo"
    NONE = "none"


class MboxError(ValueError):
    """The file is no mbox; the text says why."""


@attrs.frozen
class Separator:
    """
    A message begins: who sent it, and when it was delivered, as far as the line says.

    ``offset`` is where the line stands, counted in octets with LF line ends.
    """

    sender: str
    at: float | None
    offset: int = 0


def separator_of(line: bytes, offset: int = 0) -> Separator | None:
    """What a line says that begins with "From "; None when it is not the beginning of a message."""
    words = b" ".join(line.split())
    found = _ASCTIME.search(words) or _RFC5322.search(words)
    if found is None:
        return None
    return Separator(words[len(b"From ") : found.start()].strip().decode("utf-8", "replace"), _instant(found), offset)


def _instant(found: re.Match[bytes]) -> float | None:
    """RFC 4155 wants UTC; an offset that is written is heeded, the name of a zone is not: many mean several."""
    month = _MONTHS.index(found["month"].decode("ascii").title()) + 1
    offset = _OFFSET.search(found["zone"] + found["after"])
    zone: timezone = UTC
    if offset is not None:
        ahead = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        zone = timezone(-ahead if offset[1] == b"-" else ahead) if ahead < timedelta(hours=24) else UTC
    day, hour, minute = int(found["day"]), int(found["hour"]), int(found["minute"])
    try:
        # A leap second is the one before it.
        at = datetime(int(found["year"]), month, day, hour, minute, min(int(found["second"] or 0), 59), tzinfo=zone)
        return at.timestamp()
    except (ValueError, OverflowError):
        return None


def separator_line(sender: str, at: float) -> bytes:
    """The line in front of a message (RFC 4155); what is no address, or none, is MAILER-DAEMON, as everywhere."""
    when = datetime.fromtimestamp(at, UTC)
    # Not strftime: its names follow the locale.
    date = f"{_DAYS[when.weekday()]} {_MONTHS[when.month - 1]} {when.day:2d} {when:%H:%M:%S} {when.year:04d}"
    usable = "@" in sender and sender.isprintable() and " " not in sender and len(sender) <= MAX_LINE_OCTETS // 4
    return f"From {sender if usable else 'MAILER-DAEMON'} {date}\n".encode()


class MboxReader:
    """The engine: octets in, and out come a :class:`Separator` for each message and then its text, with LF line ends."""

    def __init__(self, quoting: Quoting = Quoting.MBOXRD) -> None:
        self._quoted = _QUOTED.get(quoting.value)
        self._ends = LineEnds()
        self._fed = 0
        #: A line that has begun, and may yet be one of those that matter.
        self._tail = b""
        #: What comes next goes on with a line whose beginning has been given out.
        self._within_line = False
        #: An empty line that has not been given out: the last one belongs to the file, and not to the message.
        self._empty_line = False
        self._begun = False

    def feed(self, octets: bytes) -> list[Separator | bytes]:
        """The next octets of the file. Raises :class:`MboxError` when something else stands before the first message."""
        return self._text(self._ends.feed(octets))

    def finish(self) -> list[Separator | bytes]:
        """The file is at its end."""
        return self._text(self._ends.finish())

    def _text(self, text: bytes) -> list[Separator | bytes]:
        items: list[Separator | bytes] = []
        offset = self._fed - len(self._tail)
        self._fed += len(text)
        data = self._tail + text
        if self._within_line:
            end = data.find(b"\n") + 1 or len(data)
            if end:
                items.append(data[:end])
            self._within_line = not data[:end].endswith(b"\n")
            data, offset = data[end:], offset + end
        end = data.rfind(b"\n") + 1
        self._lines(data[:end], offset, items)
        self._tail = data[end:]
        if self._tail and not self._is_undecided(self._tail):
            self._within_line = True
            self._give(self._tail, items)
            self._tail = b""
        return items

    @staticmethod
    def _is_undecided(line: bytes) -> bool:
        if line.startswith(b"From "):
            return len(line) <= MAX_LINE_OCTETS
        return _UNDECIDED.match(line) is not None

    def _lines(self, block: bytes, offset: int, items: list[Separator | bytes]) -> None:
        start = 0
        for found in _SEPARATOR.finditer(block):
            separator = separator_of(found[0], offset + found.start())
            if separator is not None:
                self._give(block[start : found.start()], items)
                self._empty_line = False
                self._begun = True
                items.append(separator)
                start = found.end()
        self._give(block[start:], items)

    def _give(self, block: bytes, items: list[Separator | bytes]) -> None:
        """Whole lines, or the beginning of one."""
        if not self._begun:
            if block.strip(b"\n"):
                raise MboxError('it does not begin with a line like "From anna@example.org Thu Jan  1 10:00:00 2026"')
            return
        if block and self._empty_line:
            block = b"\n" + block
            self._empty_line = False
        if block == b"\n" or block.endswith(b"\n\n"):
            block = block[:-1]
            self._empty_line = True
        if self._quoted is not None and b">From " in block:
            block = self._quoted.sub(rb"\1", block)
        if block:
            items.append(block)


class MboxQuoter:
    """Puts a ``>`` in front of lines that could be taken for the beginning of a message (mboxrd), however the text is cut."""

    def __init__(self) -> None:
        self._tail = b""
        self._within_line = False

    def feed(self, text: bytes) -> bytes:
        """The next piece of the text of a message, with LF line ends."""
        data = self._tail + text
        self._tail = b""
        start = 0
        if self._within_line:
            start = data.find(b"\n") + 1 or len(data)
            self._within_line = not data[:start].endswith(b"\n")
        end = max(start, data.rfind(b"\n") + 1)
        if end < len(data):
            if _UNDECIDED.match(data, end):
                data, self._tail = data[:end], data[end:]
            else:
                self._within_line = True
        return data[:start] + _TO_QUOTE.sub(rb">\1", data[start:])

    def finish(self) -> bytes:
        """What has been held back; it is no whole "From "."""
        tail, self._tail, self._within_line = self._tail, b"", False
        return tail
