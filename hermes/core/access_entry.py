"""What connection control says about a peer: the entry that decides."""

from __future__ import annotations

import attrs


@attrs.frozen
class AccessEntry:
    """
    One ``[access:NAME]``: whether its peers are refused, may relay, are exempt from limits, and from filters (``unfiltered``);
    whether their sessions are written down (``log``), and whether they may log in without TLS (``login_in_clear``).

    ``text`` is what those who are refused are told; empty for the usual words.
    """

    name: str
    refused: bool = False
    relay: bool = False
    exempt: bool = False
    text: str = ""
    unfiltered: bool = False
    log: bool = False
    login_in_clear: bool = False

    @property
    def rule(self) -> str:
        """The name under which the trace and ``hermes explain`` know it."""
        return f"access.{self.name}"
