"""What is done about a sender who fails a test: ``off``, ``note``, ``score N`` or ``refuse``."""

from __future__ import annotations

import re

import attrs

# test = "off" / "note" / "refuse" / "score" [1*WSP 1*3DIGIT]
_SCORE = re.compile(r"score(?:\s+([1-9][0-9]{0,2}))?\Z", re.ASCII)


@attrs.frozen
class Consequence:
    """Whether the test is made, how many points it costs to fail it, and whether it refuses."""

    tested: bool = True
    points: int = 0
    refuses: bool = False


def parse_consequence(text: str) -> Consequence:
    """Read one; raise ValueError with a remedy."""
    word = text.strip().lower()
    if word == "off":
        return Consequence(tested=False)
    if word == "note":
        return Consequence()
    if word == "refuse":
        return Consequence(refuses=True)
    found = _SCORE.match(word)
    if found is None:
        raise ValueError(
            f"{text!r} is not one of the choices: write off, note, refuse, or score and points, like score 3"
        )
    return Consequence(points=int(found[1] or 1))
