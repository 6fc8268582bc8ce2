"""The section of the password server."""

from __future__ import annotations

import attrs

from hermes.config.setting import Network, setting


@attrs.frozen
class PasswordServerSettings:
    """Changing one's password from a mail program or a web mailer, by the poppassd protocol. Off unless it listens."""

    listen: tuple[str, ...] = setting(
        "listeners", (), "Where it is offered, usually 127.0.0.1:106; with STLS where there is a certificate."
    )
    listen_tls: tuple[str, ...] = setting("listeners", (), "The same with TLS from the first octet.")
    clear_networks: tuple[Network, ...] = setting(
        "networks", (), "Clients that may send passwords in the clear, beside this machine itself. Keep it empty."
    )
    timeout: int = setting("time", 60, "Silence after which a session is ended.")
    max_failures: int = setting("number", 3, "Wrong passwords after which a session is ended.")
    min_length: int = setting("number", 10, "Characters that a new password has at least.")
    min_different: int = setting("number", 5, "Different characters that a new password has at least.")
    end_sessions: bool = setting(
        "flag", True, "Whether the account's other sessions end when its password has been changed."
    )
