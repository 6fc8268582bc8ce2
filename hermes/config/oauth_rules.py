"""What the settings of ``[oauth]`` must be together."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from hermes.config.finding import Finding
from hermes.config.schema import Settings
from hermes.config.sections.oauth import OAuthSettings

#: Signatures by a key that only the authorization server has. Those by a shared secret (HS256) could be made by whoever can
#: check them, and "none" by anybody (RFC 8725 3.1).
ALGORITHMS = (*("RS256", "RS384", "RS512"), *("PS256", "PS384", "PS512"), *("ES256", "ES384", "ES512"), "EdDSA")

_SECTION = "oauth"


def oauth_findings(settings: Settings) -> Iterator[Finding]:
    """All rules that are broken."""
    oauth = settings.oauth
    for key in ("keys_url", "introspection_url", "discovery"):
        url = getattr(oauth, key)
        if url and (fault := _url_fault(url)):
            yield Finding(((_SECTION, key),), fault)
    for name in oauth.algorithms:
        if name not in ALGORITHMS:
            yield Finding(
                ((_SECTION, "algorithms"),), f"{name!r} is not believed: write some of {', '.join(ALGORITHMS)}"
            )
    if oauth.check == "jwt":
        yield from _jwt(oauth)
    elif oauth.check == "introspection":
        yield from _introspection(oauth)
    if oauth.check != "no" and not oauth.claim:
        yield Finding(((_SECTION, "claim"),), "a token must name an account: write the claim that does, like email")


def _jwt(oauth: OAuthSettings) -> Iterator[Finding]:
    check = (_SECTION, "check")
    if bool(oauth.keys) == bool(oauth.keys_url):
        yield Finding(
            ((_SECTION, "keys"), (_SECTION, "keys_url"), check), "jwt needs keys: write either keys or keys_url"
        )
    # RFC 8725 3.8 and 3.9: a signature alone says neither who made the token nor what for.
    if not oauth.issuer:
        yield Finding(((_SECTION, "issuer"), check), "jwt needs an issuer: write what the tokens have as iss")
    if not oauth.audience:
        text = (
            "jwt needs an audience, or tokens for anything else would open mailboxes: write what the tokens have as aud"
        )
        yield Finding(((_SECTION, "audience"), check), text)
    if not oauth.algorithms:
        yield Finding(((_SECTION, "algorithms"), check), "the list is empty: write at least one, like RS256")


def _introspection(oauth: OAuthSettings) -> Iterator[Finding]:
    check = (_SECTION, "check")
    if not oauth.introspection_url:
        yield Finding(
            ((_SECTION, "introspection_url"), check),
            "introspection needs an address: write that of the introspection endpoint",
        )
    # RFC 7662 2.1: the endpoint asks for a login, or anybody could try tokens there.
    if not (oauth.client_id and oauth.client_secret):
        yield Finding(
            ((_SECTION, "client_id"), (_SECTION, "client_secret"), check),
            "introspection needs a login: write client_id and client_secret; that may be file:PATH",
        )


def _url_fault(url: str) -> str:
    """What is wrong with an address, with a remedy; empty when it will do."""
    try:
        parts = urlsplit(url)
        # Asking for the port checks it.
        usable = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0 and parts.username is None
    except ValueError:
        usable = False
    if usable and url.isascii() and url.isprintable() and " " not in url and not parts.fragment:
        return ""
    return f"{url!r} is not an address that can be asked: write one like https://login.example.org/path"
