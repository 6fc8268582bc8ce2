"""Writes tables into docs/performance.md, each between its two markers."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import attrs

from bench.pairs import Options, Row

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


@attrs.frozen
class Section:
    """
    What stands between the markers ``name``: where it comes from, the rows beside ``peer``, and what else there is to say.

    ``unit`` is that of all rows; else each row tells its own.
    """

    name: str
    peer: str
    options: Options
    versions: Sequence[str]
    rows: Sequence[Row] = ()
    notes: Sequence[str] = ()
    unit: str = ""
    #: Draws the picture that belongs to it.
    picture: Callable[[Path], None] | None = None
    #: What was found that must not be; then the measurement ends with status 1.
    failure: str = ""

    @property
    def picture_name(self) -> str:
        """The file of its picture, beside the page."""
        return f"performance-{self.name}.svg"

    def lines(self) -> list[str]:
        """The text."""
        workers = "" if self.options.workers == "1" else f", workers = {self.options.workers}"
        lines = [
            f"Measured on {datetime.now(UTC):%Y-%m-%d} with `python -m bench {self.name}`: {', '.join(self.versions)}{workers}, "
            f"Python {platform.python_version()}; Linux {platform.release()}, {processor()}, {os.cpu_count()} cores."
            + (f" Medians of {self.options.pairs} pairs." if self.rows else ""),
            "",
        ]
        if self.rows:
            unit = f", {self.unit}" if self.unit else ""
            head = ["what", f"Hermes{unit}", f"{self.peer}{unit}", "ratio, median", "ratio, range"]
            lines += [
                _line(head),
                "| --- | ---: | ---: | ---: | ---: |",
                *(_line(row.cells()) for row in self.rows),
                "",
            ]
        for note in self.notes:
            lines += [note, ""]
        if self.picture is not None:
            lines += [f"![{self.name}]({self.picture_name})", ""]
        return lines[:-1]


def memory(octets: tuple[int, int]) -> str:
    """Proportional and resident memory in words."""
    proportional, resident = (part / 1024**2 for part in octets)
    return f"{proportional:.0f} MB (proportional set size of all processes; resident, with what they share, {resident:.0f} MB)"


def write(section: Section) -> None:
    """Replace what stands between its markers, and its picture."""
    if section.picture is not None:
        section.picture(PAGE.with_name(section.picture_name))
    begin, end = (f"<!-- {section.name}: {word} -->" for word in ("begin", "end"))
    text = PAGE.read_text()
    if begin not in text or end not in text:
        raise AssertionError(f"{PAGE} has no {begin} and {end}")
    middle = "\n".join([begin, *section.lines(), end])
    PAGE.write_text(re.sub(f"{begin}.*?{end}", lambda _: middle, text, flags=re.DOTALL))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def processor() -> str:
    """What the machine calls its processor."""
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()
