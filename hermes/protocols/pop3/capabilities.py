"""What CAPA announces (RFC 2449 5 and 6, RFC 2595 4, RFC 3206 6, RFC 5034 3, RFC 6856 2 and 3), and the languages of LANG."""

from __future__ import annotations

from collections.abc import Sequence

from hermes.protocols.pop3.events import TERMINATION

#: The languages that replies are written in, with their own names for themselves. RFC 2277 4.5 calls the one for people
#: whose language is not known i-default; it has to be understood by those who read English.
LANGUAGES = {"en": "English", "i-default": "Default language"}

#: What ``LANG *`` chooses: the administrator's preference (RFC 6856 3.2).
PREFERRED_LANGUAGE = "en"


def capabilities(
    *,
    mechanisms: Sequence[str],
    stls: bool,
    logged_in: bool,
    expire: str = "NEVER",
    login_delay: int = 0,
    xtnd_xmit: bool = False,
) -> bytes:
    """
    The answer to CAPA; ``mechanisms`` is empty where nobody may log in, and then USER is not announced either.

    ``expire`` and ``login_delay`` are the arguments of EXPIRE and LOGIN-DELAY (RFC 2449 6.7 and 6.5), where 0 is none.

    What is announced before the login is announced after it as well (RFC 2449 5), except STLS (RFC 2595 8). The name of the
    implementation is for those who have logged in (RFC 2449 6.9), its version for nobody. XTND is nowhere registered, as no name
    with an X is (RFC 2449 9); it is a word of the TRANSACTION state alone.
    """
    lines = ["+OK capability list follows", "TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING"]
    if mechanisms:
        lines.append("USER")
        lines.append(" ".join(("SASL", *mechanisms)))
    if stls:
        lines.append("STLS")
    lines += ["UTF8 USER", "LANG", f"EXPIRE {expire}"]
    if login_delay:
        lines.append(f"LOGIN-DELAY {login_delay}")
    if logged_in and xtnd_xmit:
        lines.append("XTND XMIT")
    if logged_in:
        lines.append("IMPLEMENTATION Hermes")
    return "\r\n".join(lines).encode("ascii") + b"\r\n" + TERMINATION


def language_listing() -> bytes:
    """The answer to LANG without an argument (RFC 6856 3.2)."""
    lines = ["+OK language listing follows", *(f"{tag} {name}" for tag, name in LANGUAGES.items())]
    return "\r\n".join(lines).encode("ascii") + b"\r\n" + TERMINATION


def matching_language(language_range: str) -> str | None:
    """The first language that matches a basic language range (RFC 4647 3.3.1), or None."""
    wanted = language_range.lower()
    if wanted == "*":
        return PREFERRED_LANGUAGE
    return next((tag for tag in LANGUAGES if tag == wanted or tag.startswith(wanted + "-")), None)
