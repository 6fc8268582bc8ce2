"""A logger that keeps what is logged as an error."""

from __future__ import annotations


class ErrorLog:
    """Takes what is logged as an error; the rest is passed over."""

    def __init__(self, errors: list[str]) -> None:
        self._errors = errors

    def error(self, text: str, **facts: object) -> None:
        """Keep it as text."""
        self._errors.append(text.format(**facts))

    def info(self, text: str, **facts: object) -> None:
        """Not looked at."""
