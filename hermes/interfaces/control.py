"""The seam of the control socket and the manhole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zope.interface import Interface


class IControl(Interface):
    """What the control socket and the manhole can ask of a running server; all values are ready for JSON."""

    async def call(command: str, arguments: Mapping[str, Any]) -> Any:
        """Carry out a command; raise ``LookupError`` or ``ValueError`` with a text for the administrator."""
