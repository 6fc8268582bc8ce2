"""
The settings of logins by access tokens: OAUTHBEARER and XOAUTH2.

A token opens the account whose name or address is in its claim. What it must hold is checked here in either way: issuer,
audience, scopes, and the time for which it is good.
"""

from __future__ import annotations

import attrs

from hermes.config.setting import setting


@attrs.frozen
class OAuthSettings:
    """Logging in with access tokens of an authorization server (OAUTHBEARER, XOAUTH2), for sending and for reading mail."""

    check: str = setting(
        "choice",
        "no",
        "How tokens are checked: jwt by their signatures, introspection by asking the authorization server; no: none are taken.",
        choices=("no", "jwt", "introspection"),
    )
    issuer: str = setting("text", "", "Who must have issued a token (iss), as the authorization server writes itself.")
    audience: tuple[str, ...] = setting("words", (), "Whom a token must be for (aud): one of these.")
    scopes: tuple[str, ...] = setting("words", (), "What a token must be good for (scope): all of these.")
    claim: str = setting(
        "text",
        "email",
        "The claim that names the account, like email, preferred_username or username. People must not be able to choose it "
        "themselves; an email is refused when email_verified says that it is not verified.",
    )
    keys: str = setting("path", "", "For jwt: file with the authorization server's keys, a JWKS. Or keys_url.")
    keys_url: str = setting(
        "text", "", "For jwt: https address of the keys (jwks_uri); they are fetched anew when there are others."
    )
    algorithms: tuple[str, ...] = setting(
        "words",
        ("RS256", "PS256", "ES256", "EdDSA"),
        "For jwt: the signatures that are believed; of RS256 to RS512, PS256 to PS512, ES256 to ES512, and EdDSA.",
    )
    introspection_url: str = setting("text", "", "For introspection: https address that is asked about a token.")
    client_id: str = setting("text", "", "For introspection: the name by which this server logs in there.")
    client_secret: str = setting("secret", "", "For introspection: the password for it.")
    authority: str = setting(
        "path", "", "PEM file with the authority to trust for these addresses instead of the system's."
    )
    remember: int = setting(
        "time",
        60,
        "For introspection: how long an answer holds. A token that is withdrawn is good for so long at most.",
    )
    timeout: int = setting("time", 10, "How long the authorization server has for an answer.")
    hosts: tuple[str, ...] = setting(
        "words", (), "The names by which clients reach this server. Empty: what OAUTHBEARER says of it is not compared."
    )
    discovery: str = setting(
        "text", "", "https address of the authorization server's description, told to clients whose token was refused."
    )
