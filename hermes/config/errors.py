"""What is wrong with a configuration: every problem with its place and its remedy, so that one look is enough to mend it."""

from __future__ import annotations

from collections.abc import Sequence

import attrs


@attrs.frozen
class Problem:
    """
    One thing that is wrong.

    ``line`` counts from 1 and is 0 where no line can be named; ``section`` and ``key`` are empty where there is none;
    ``text`` says what is wrong and what to do. It never holds a secret.
    """

    text: str
    line: int = 0
    section: str = ""
    key: str = ""

    def describe(self, path: str) -> str:
        """The problem as one line for people, like a compiler's: ``config.ini:12: [smtp] max_sise: unknown key``."""
        place = f"{path}:{self.line}:" if self.line else f"{path}:"
        words = [place]
        if self.section:
            words.append(f"[{self.section}]" if self.key else f"[{self.section}]:")
        if self.key:
            words.append(f"{self.key}:")
        return " ".join([*words, self.text])


class ConfigError(Exception):
    """
    A configuration that cannot be used; nothing of it was put in force.

    ``problems`` holds all that was found, in the order of the file; ``str()`` gives one line for each.
    """

    def __init__(self, path: str, problems: Sequence[Problem]) -> None:
        self.path = path
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        super().__init__("\n".join(problem.describe(path) for problem in self.problems))


class MercuryFileError(ValueError):
    """A file of Mercury's that cannot be said in sections of ``config.ini``: one problem a line of the text."""
