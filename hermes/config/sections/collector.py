"""The collectors: fetching mail from boxes at other servers (Mercury's module D)."""

from __future__ import annotations

import attrs

from hermes.config.setting import setting

#: Where recipients of a multi-drop box are looked for: what servers write there, and not what senders do.
RECIPIENT_HEADERS = ("Delivered-To", "X-Original-To", "X-Envelope-To", "Received")

#: Ways of logging in that ``auth`` may name, in small letters: POP3's own, and those of SASL.
COLLECTOR_AUTH = (
    *("user", "apop", "scram-sha-256-plus", "scram-sha-256", "cram-md5", "plain", "login"),
    *("oauthbearer", "xoauth2"),
)


@attrs.frozen
class CollectorSettings:
    """
    Fetching mail from a POP3 box at another server. One section for each box, any number; docs/collecting.md says more.

    With account all mail of the box is that account's. Without it the box is for many (multi-drop): whose a message is, is read
    from the fields that its server has written.
    """

    enabled: bool = setting("flag", True, "Whether the box is looked at; hermes collect does it all the same.")
    host: str = setting("text", "", "Name of the server.")
    port: int = setting("number", 995, "Its port: 995 with implicit, 110 with starttls or none.")
    tls: str = setting(
        "choice",
        "implicit",
        "implicit (TLS from the first octet), starttls (STLS, required, not merely tried), or none.",
        choices=("none", "starttls", "implicit"),
    )
    verify: bool = setting("flag", True, "Whether its certificate must be valid for its name.")
    authority: str = setting("path", "", "PEM file with the authority to trust instead of the system's.")
    username: str = setting("text", "", "Login name.")
    password: str = setting(
        "secret", "", "Password. With tls = none only for a server on this machine, or with ways named in auth."
    )
    oauth: str = setting(
        "text", "", "Name of the [oauth_client:NAME] whose token is used instead of a password, with the username."
    )
    auth: tuple[str, ...] = setting(
        "words",
        (),
        "The only ways of logging in that may be used, of user (USER and PASS), apop, scram-sha-256-plus, scram-sha-256, "
        "cram-md5, plain, login, and oauthbearer and xoauth2 with a token. Empty: all that are safe, the safest first.",
    )
    account: str = setting("text", "", "The account that gets everything. Empty: the box is for many.")
    recipient_headers: tuple[str, ...] = setting(
        "words",
        RECIPIENT_HEADERS,
        "In a box for many: the fields in which an address of ours is looked for, the first that has one counts. To and Cc are "
        "written by senders, and looked at only if they are named here.",
    )
    default: str = setting(
        "text",
        "",
        "In a box for many: the account or address that gets what is for nobody here. Empty: the postmaster.",
    )
    duplicates: bool = setting(
        "flag", False, "In a box for many: whether each recipient gets a message as often as it lies in the box."
    )
    leave: str = setting(
        "choice",
        "no",
        "Whether messages stay on the server: no (they are deleted when they are safe here), time (for leave_time), "
        "until-deleted (until the account has deleted them here), always.",
        choices=("no", "time", "until-deleted", "always"),
    )
    leave_time: int = setting("time", 7 * 86400, "How long messages stay on the server with leave = time.")
    poll: int = setting("time", 300, "Pause between two looks.")
    max_size: int = setting("size", 0, "Larger messages stay where they are. 0: as smtp.max_size.")
    max_messages: int = setting("number", 1000, "Messages fetched in one session; the others have the next one.")
    timeout: int = setting("time", 60, "Silence of the server after which a session is given up.")
    trusted: bool = setting(
        "flag",
        False,
        "Whether its mail is spared by filters as that of our own users is; other checks still look at it.",
    )
