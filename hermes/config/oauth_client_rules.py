"""What the settings of OAuth clients must be, and what follows from them and from their presets."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import attrs

from hermes.config.finding import Finding
from hermes.config.host_names import is_loopback_host
from hermes.config.providers import providers
from hermes.config.schema import Settings
from hermes.config.sections.oauth_client import OAuthClientSettings
from hermes.config.smarthost_rules import smarthosts_of

#: Where the browser is sent when neither settings nor preset say otherwise: nothing listens there, and the address is copied.
_REDIRECT = "http://127.0.0.1:8765"


@attrs.frozen
class ClientFacts:
    """A client with all that its preset fills in; the secret is never shown."""

    name: str
    title: str
    client_id: str
    client_secret: str = attrs.field(repr=False)
    grant: str
    scopes: tuple[str, ...]
    authorization_endpoint: str
    token_endpoint: str
    device_endpoint: str
    redirect: str
    parameters: Mapping[str, str] = attrs.field(hash=False)
    authority: str


def facts_of(name: str, settings: OAuthClientSettings, grant: str = "") -> ClientFacts:
    """What holds for one section; ``grant`` comes before that of the settings."""
    preset = providers().get(settings.preset)
    known = preset.get if preset is not None else (lambda _, default="": default)
    offered = known("grants", ["device" if settings.device_endpoint else "code"])
    chosen = grant or settings.grant
    chosen = offered[0] if chosen == "auto" else chosen
    scopes = known("client_credentials_scopes", ()) if chosen == "client_credentials" else known("scopes", ())

    def endpoint(kind: str) -> str:
        written: str = getattr(settings, kind) or known(kind)
        return written.replace("{tenant}", settings.tenant or known("tenant"))

    return ClientFacts(
        name=name,
        title=preset.title if preset is not None else urlsplit(settings.token_endpoint).hostname or "",
        client_id=settings.client_id,
        client_secret=settings.client_secret,
        grant=chosen,
        scopes=settings.scopes or tuple(scopes),
        authorization_endpoint=endpoint("authorization_endpoint"),
        token_endpoint=endpoint("token_endpoint"),
        device_endpoint=endpoint("device_endpoint"),
        redirect=settings.redirect or known("redirect", _REDIRECT),
        parameters=known("parameters", {}),
        authority=settings.authority,
    )


def missing(facts: ClientFacts) -> str:
    """Which setting the client's grant needs and has not; empty when all is there."""
    needed = {
        "device": ("device_endpoint",),
        "code": ("authorization_endpoint",),
        "client_credentials": ("client_secret",),
    }
    for key in ("client_id", "token_endpoint", *needed[facts.grant]):
        if not getattr(facts, key):
            return key
    return ""


def accounts_of(settings: Settings, name: str) -> list[str]:
    """The user names that log in with a client's tokens."""
    smarthosts = [each.username for each in smarthosts_of(settings).values() if each.oauth == name]
    return smarthosts + [each.username for each in settings.collector.values() if each.oauth == name]


def oauth_client_findings(settings: Settings) -> Iterator[Finding]:
    """All rules about ``[oauth_client:NAME]`` that are broken."""
    for name, client in settings.oauth_clients.items():
        section = f"oauth_client:{name}"
        facts = facts_of(name, client)
        if key := missing(facts):
            text = f"is missing, and {facts.grant} needs it: write what the provider has given you"
            yield Finding(((section, key),), text)
        for key in ("authorization_endpoint", "token_endpoint", "device_endpoint"):
            parts = _split(getattr(client, key))
            if getattr(client, key) and (parts is None or parts[0] != "https" or not parts[1]):
                # RFC 6749 3.1 and 3.2: TLS is required where passwords and tokens go.
                yield Finding(
                    ((section, key),), "tokens travel by HTTPS alone: write an address that begins with https://"
                )
        if client.redirect:
            parts = _split(client.redirect)
            if parts is None or (parts[0] != "https" and not (parts[0] == "http" and is_loopback_host(parts[1]))):
                yield Finding(((section, "redirect"),), f"write {_REDIRECT}, or an address that begins with https://")
    yield from _users(settings)


def _split(address: str) -> tuple[str, str] | None:
    try:
        parts = urlsplit(address)
        return parts.scheme, parts.hostname or ""
    except ValueError:
        return None


def _users(settings: Settings) -> Iterator[Finding]:
    singles = {"smarthost": settings.smarthost}
    for section, smarthost in {
        **singles,
        **{f"smarthost:{name}": each for name, each in settings.smarthosts.items()},
    }.items():
        if not smarthost.oauth:
            continue
        oauth = (section, "oauth")
        if smarthost.oauth not in settings.oauth_clients:
            close = difflib.get_close_matches(smarthost.oauth, settings.oauth_clients, n=1)
            remedy = f"did you mean {close[0]}?" if close else f"write [oauth_client:{smarthost.oauth}]"
            yield Finding((oauth,), f"there is no OAuth client {smarthost.oauth!r}: {remedy}")
        if not smarthost.username:
            yield Finding(
                ((section, "username"), oauth), "is missing: a token is for somebody, so write the account's name"
            )
        if smarthost.password:
            yield Finding(
                ((section, "password"), oauth), "a token takes the place of the password: remove one of the two"
            )
        if smarthost.tls == "none" and not is_loopback_host(smarthost.host):
            yield Finding(((section, "tls"), oauth), "a token must not travel in the clear: write starttls or implicit")
