"""What the settings of a smart host must be, each alone and beside the others."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from hermes.config.finding import Finding
from hermes.config.schema import Settings
from hermes.config.sections.smarthost import AUTH_NAMES


def smarthost_findings(settings: Settings) -> Iterator[Finding]:
    """All rules about smart hosts that are broken."""
    for name in settings.smarthost.auth:
        if name.lower() not in AUTH_NAMES:
            close = difflib.get_close_matches(name.lower(), AUTH_NAMES, n=1)
            remedy = f"did you mean {close[0]}?" if close else f"there are {', '.join(AUTH_NAMES)}"
            yield Finding((("smarthost", "auth"),), f"{name!r} is not a way of logging in: {remedy}")
