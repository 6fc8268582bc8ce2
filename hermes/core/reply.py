"""
SMTP replies as values (RFC 5321 4.2, RFC 3463): what we answer and what other servers answered us.

A reply is a three-digit code, an enhanced status code where one is known, and one or more lines of text.
"""

from __future__ import annotations

import re
from functools import lru_cache

import attrs

# status-code = class "." subject "." detail   (RFC 3463 2)
_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?: |\Z)")


@attrs.frozen
class Reply:
    """
    One SMTP reply.

    ``code`` is 200..599; ``enhanced`` is like ``"5.1.1"`` or None; ``lines`` holds the text without codes and line ends,
    at least one line (which may be empty).
    """

    code: int
    enhanced: str | None
    lines: tuple[str, ...]

    @classmethod
    def of(cls, code: int, enhanced: str | None, text: str) -> Reply:
        """Make a reply of one line, or of several separated by newlines."""
        return cls(code, enhanced, tuple(text.split("\n")))

    @classmethod
    def parsed(cls, code: int, lines: tuple[str, ...]) -> Reply:
        """Make a reply of what a server sent, taking the enhanced status code out of the text."""
        found = _ENHANCED.match(lines[0]) if lines else None
        if found is None or not str(code).startswith(found[1]):
            return cls(code, None, lines)
        enhanced = f"{found[1]}.{found[2]}.{found[3]}"
        return cls(code, enhanced, tuple(line.removeprefix(enhanced).removeprefix(" ") for line in lines))

    @property
    def text(self) -> str:
        """The text alone, its lines joined by a space."""
        return " ".join(self.lines)

    def cut(self, characters: int) -> Reply:
        """The same with no more text than that."""
        if len(self.text) <= characters:
            return self
        return attrs.evolve(self, lines=(f"{self.text[: characters - 3]}...",))

    @property
    def is_positive(self) -> bool:
        """True for 2xx."""
        return 200 <= self.code < 300

    @property
    def is_intermediate(self) -> bool:
        """True for 3xx."""
        return 300 <= self.code < 400

    @property
    def is_temporary(self) -> bool:
        """True for 4xx: it may work later."""
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
        """True for 5xx: it will not work."""
        return self.code >= 500

    def encode(self) -> bytes:
        """
        The reply as it goes over the wire (RFC 5321 4.2.1, RFC 2034 4).

        Text outside ASCII is sent as UTF-8 (RFC 6531 3.7.4.2 has the session decide; callers keep such text for it).
        """
        return _encoded(self.code, self.enhanced, self.lines)

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced + ' ' if self.enhanced else ''}{self.text}"


@lru_cache(512)
def _encoded(code: int, enhanced: str | None, lines: tuple[str, ...]) -> bytes:
    # A session says the same few things over and over.
    prefix = f"{enhanced} " if enhanced else ""
    last = len(lines) - 1
    return "".join(
        f"{code}{' ' if number == last else '-'}{prefix}{line}\r\n" for number, line in enumerate(lines)
    ).encode("utf-8", "replace")
