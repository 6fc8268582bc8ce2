"""The smart hosts: sending what is not for us through other servers."""

from __future__ import annotations

import attrs

from hermes.config.setting import setting

#: The mechanisms of SASL that ``auth`` may name, in small letters.
AUTH_NAMES = (
    *("scram-sha-256-plus", "scram-sha-256", "cram-md5", "plain", "login"),
    *("oauthbearer", "xoauth2"),
)


@attrs.frozen
class SmarthostSettings:
    """Sending everything that is not for us through one other server."""

    host: str = setting("text", "", "Name of the server. Empty: there is no smart host.")
    port: int = setting("number", 587, "Its port: 587 with starttls, 465 with implicit, 25 with none.")
    tls: str = setting(
        "choice",
        "starttls",
        "none, starttls (required, not merely tried), or implicit (TLS from the first octet).",
        choices=("none", "starttls", "implicit"),
    )
    verify: bool = setting("flag", True, "Whether its certificate must be valid for its name.")
    authority: str = setting("path", "", "PEM file with the authority to trust instead of the system's.")
    username: str = setting("text", "", "Login name. Empty: no login.")
    password: str = setting(
        "secret", "", "Password. With tls = none it is allowed only when the server is this machine."
    )
    auth: tuple[str, ...] = setting(
        "words",
        (),
        "The only ways of logging in that may be used, of scram-sha-256-plus, scram-sha-256, cram-md5, plain, login, and "
        "oauthbearer and xoauth2 with a token. Empty: all, the safest that is offered first.",
    )
    connections: int = setting("number", 5, "Connections to it at once.")
