"""OAuth clients: as whom this server asks providers for tokens."""

from __future__ import annotations

import attrs

from hermes.config.setting import setting

#: How a token can be had; auto is the first that the provider offers.
GRANTS = ("auto", "device", "code", "client_credentials")

#: The presets of ``providers.toml``, and none.
PRESETS = ("none", "google", "microsoft")


@attrs.frozen
class OAuthClientSettings:
    """
    An application registered with a provider, whose tokens take the place of a password. One section for each, any number.

    ``hermes oauth login NAME`` gets the first token; the server sees to the rest. A smart host names the section in its oauth.
    """

    preset: str = setting(
        "choice",
        "none",
        "A provider whose endpoints and scopes are known; hermes oauth providers shows them.",
        choices=PRESETS,
    )
    client_id: str = setting("text", "", "What the provider calls the application.")
    client_secret: str = setting("secret", "", "Its secret, where the provider has given it one.")
    tenant: str = setting("text", "", "Microsoft: the organisation's name or number. Empty: any account.")
    grant: str = setting(
        "choice",
        "auto",
        "How to log in: device (a code typed at another device), code (an address copied from a browser), client_credentials "
        "(the application itself, without a person), or auto, the first that the provider offers.",
        choices=GRANTS,
    )
    scopes: tuple[str, ...] = setting("words", (), "What the token shall be good for. Empty: as the preset says.")
    authorization_endpoint: str = setting("text", "", "Address of the login page. Empty: as the preset says.")
    token_endpoint: str = setting("text", "", "Address where tokens are given. Empty: as the preset says.")
    device_endpoint: str = setting("text", "", "Address where device codes are given. Empty: as the preset says.")
    redirect: str = setting(
        "text",
        "",
        "Where the browser is sent after a login by code; nothing has to listen there. Empty: as the preset says.",
    )
    authority: str = setting("path", "", "PEM file with the authority to trust instead of the system's.")
