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
    oauth: str = setting(
        "text", "", "Name of the [oauth_client:NAME] whose token is used instead of a password, with the username."
    )
    auth: tuple[str, ...] = setting(
        "words",
        (),
        "The only ways of logging in that may be used, of scram-sha-256-plus, scram-sha-256, cram-md5, plain, login, and "
        "oauthbearer and xoauth2 with a token. Empty: all, the safest that is offered first.",
    )
    connections: int = setting("number", 5, "Connections to it at once.")
    pin: tuple[str, ...] = setting(
        "words",
        (),
        "SHA-256 of the public key that its certificate must have, in hexadecimal digits or base64; several while it is changed. "
        "Then neither authority nor name of the certificate matter.",
    )
    envelope_sender: str = setting(
        "text",
        "",
        "Address to put into the envelope of all that goes through it, for a provider that takes no other; reports keep the null "
        "sender. Empty: as it came.",
    )
    from_address: str = setting(
        "text",
        "",
        "The same for the From field. The old one becomes Reply-To, or X-Original-From where there is a Reply-To.",
    )
    pop_host: str = setting(
        "text",
        "",
        "POP before SMTP: a POP3 server at which to log in with username and password first, instead of a login by SMTP.",
    )
    pop_port: int = setting("number", 110, "Its port: 110 with starttls, 995 with implicit.")
    pop_tls: str = setting(
        "choice", "starttls", "How TLS is used there; see tls.", choices=("none", "starttls", "implicit")
    )
    pop_valid: int = setting("time", 300, "How long such a login is good.")
    messages_per_minute: int = setting("number", 0, "Messages handed to it in a minute; more wait. 0: no limit.")
    messages_per_hour: int = setting("number", 0, "The same in an hour.")
    messages_per_day: int = setting("number", 0, "The same in a day.")
    recipients_per_day: int = setting("number", 0, "Recipients in a day, as some providers count. 0: no limit.")
    fallback: tuple[str, ...] = setting(
        "words",
        (),
        "Names of the smart hosts that are tried, in this order, when this one cannot be reached, trusted or logged in at.",
    )

    @property
    def chooses(self) -> bool:
        """True when it is for some mail and not for all."""
        return False


@attrs.frozen
class NamedSmarthostSettings(SmarthostSettings):
    """
    More smart hosts, for some of the mail, or as fall-backs. One section for each, any number.

    Of all whose senders, recipients and accounts fit a message the first in the file takes it. What none takes goes to
    ``[smarthost]``, or to the one that asks for nothing and is nobody's fall-back, or directly.
    """

    senders: tuple[str, ...] = setting(
        "words",
        (),
        "Only mail from these envelope senders: joe@example.org, example.org, *.example.org, <> for reports. Empty: from all.",
    )
    recipients: tuple[str, ...] = setting("words", (), "Only mail to these addresses or domains. Empty: to all.")
    accounts: tuple[str, ...] = setting(
        "words", (), "Only mail that these accounts sent with a login. Empty: from all."
    )

    @property
    def chooses(self) -> bool:
        """True when it is for some mail and not for all."""
        return bool(self.senders or self.recipients or self.accounts)
