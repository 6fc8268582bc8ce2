"""Writes the table into docs/performance.md, between its two markers."""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"

HEAD = ["what", "Hermes, messages/s", "Postfix, messages/s", "ratio, median", "ratio, range"]


def memory(octets: tuple[int, int]) -> str:
    """Proportional and resident memory in words."""
    proportional, resident = (part / 1024**2 for part in octets)
    return f"{proportional:.0f} MB (proportional set size of all processes; resident, with what they share, {resident:.0f} MB)"


def write(rows: list[list[str]], versions: list[str], idle_octets: tuple[int, int], pairs: int) -> None:
    """Replace what stands between the markers."""
    lines = [
        BEGIN,
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with `make bench`: {', '.join(versions)}; Linux {platform.release()}, "
        f"{_processor()}, {os.cpu_count()} cores. Medians of {pairs} pairs.",
        "",
        f"Idle memory of Hermes: {memory(idle_octets)}.",
        "",
        "| " + " | ".join(HEAD) + " |",
        "| --- | ---: | ---: | ---: | ---: |",
        *("| " + " | ".join(row) + " |" for row in rows),
        END,
    ]
    text = PAGE.read_text()
    PAGE.write_text(re.sub(f"{BEGIN}.*?{END}", lambda _: "\n".join(lines), text, flags=re.DOTALL))


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()
