"""What is wrong with settings that were each understood."""

from __future__ import annotations

import attrs


@attrs.frozen
class Finding:
    """One broken rule: the settings it is about (section and key), the first being the one to change, and the text."""

    about: tuple[tuple[str, str], ...]
    text: str
