"""
Transcripts of sessions: ``C:`` lines are sent, ``S:`` lines must come, and nothing else may.

The first lines may say what the site is like (``flavor: submission``). In what must come, ``...`` at the end of a line stands
for any text, and alone for any number of lines.
"""

from __future__ import annotations

from pathlib import Path

import attrs


@attrs.frozen
class Turn:
    """What the client sends, and what it must then hear."""

    sent: str
    heard: tuple[str, ...]


@attrs.frozen
class Dialogue:
    """One transcript."""

    name: str
    settings: dict[str, str]
    turns: tuple[Turn, ...]

    @property
    def sent(self) -> bytes:
        """All that the client sends."""
        return "".join(turn.sent for turn in self.turns).encode("utf-8")

    @property
    def heard(self) -> tuple[str, ...]:
        """All that it must hear."""
        return tuple(line for turn in self.turns for line in turn.heard)


def read(path: Path) -> Dialogue:
    """Read a transcript."""
    settings: dict[str, str] = {}
    turns: list[tuple[list[str], list[str]]] = [([], [])]
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        mark, _, text = line.partition(":")
        text = text.removeprefix(" ")
        if not line or line.startswith("#"):
            continue
        if mark == "C":
            if turns[-1][1]:
                turns.append(([], []))
            turns[-1][0].append(f"{text}\r\n")
        elif mark == "S":
            turns[-1][1].append(text)
        elif len(turns) == 1 and not turns[0][0] and not turns[0][1]:
            settings[mark] = text.strip()
        else:
            raise ValueError(f"{path}:{number}: neither C: nor S:")
    return Dialogue(path.stem, settings, tuple(Turn("".join(sent), tuple(heard)) for sent, heard in turns))


def differences(expected: tuple[str, ...], actual: list[str]) -> str:
    """What is wrong with the lines that came; empty when they are right."""
    remaining = list(actual)
    wanted = list(expected)
    while wanted:
        pattern = wanted.pop(0)
        if pattern == "...":
            while remaining and not (wanted and _matches(wanted[0], remaining[0])):
                remaining.pop(0)
        elif not remaining:
            return f"nothing came where there should be {pattern!r}"
        elif not _matches(pattern, line := remaining.pop(0)):
            return f"{line!r} came where there should be {pattern!r}"
    return f"{remaining!r} came at the end" if remaining else ""


def _matches(pattern: str, line: str) -> bool:
    return line.startswith(pattern[:-3]) if pattern.endswith("...") else line == pattern
