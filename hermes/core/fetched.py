"""What a web server has answered."""

from __future__ import annotations

import attrs


@attrs.frozen
class Fetched:
    """``status`` is that of HTTP; ``octets`` is the whole body, without what its transfer added."""

    status: int
    octets: bytes = attrs.field(repr=False)
