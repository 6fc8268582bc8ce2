"""The section of the finger server."""

from __future__ import annotations

import attrs

from hermes.config.setting import setting


@attrs.frozen
class FingerSettings:
    """Telling strangers about people (RFC 1288). Off unless it listens; told is only of those who have a profile file."""

    listen: tuple[str, ...] = setting("listeners", (), "Where it is offered, usually *:79.")
    profiles: str = setting(
        "path", "finger", "Directory of profile files: NAME.txt for each account that wants to be told of."
    )
    list: bool = setting("flag", False, "Whether a query without a name is answered with everybody who has a profile.")
    last_login: bool = setting("flag", False, "Whether it is told when somebody has logged in last.")
    rate: int = setting("number", 20, "Queries a minute from one address; this machine is exempt.")
    timeout: int = setting("time", 30, "Silence after which a session is ended.")
