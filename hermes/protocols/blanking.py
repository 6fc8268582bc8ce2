"""
What of a session may be written down: every line that cannot hold a secret as it is, of all others only what is known.

It works by permission. A verb is shown when it is one of the protocol's, and what stands behind it when nothing secret belongs
there; whatever else a client says (a password that comes one line too late, a login in the words of another protocol) is
counted and not shown.
"""

from __future__ import annotations

import re

from hermes.protocols.receive_buffer import Line

#: What stands for what is not shown.
BLANK = "[blanked]"

_WORD = r"\S{1,255}"
_NUMBERS = r"[0-9]{1,10}(?: [0-9]{1,10})?"

#: What may stand behind a verb and is shown then, by service.
_SHOWN = {
    service: {verb: re.compile(rf"{pattern}\Z", re.IGNORECASE) for verb, pattern in verbs.items()}
    for service, verbs in {
        "smtp": {
            **dict.fromkeys(("EHLO", "HELO", "LHLO", "VRFY", "EXPN", "ETRN"), _WORD),
            "MAIL": r"FROM:.*",
            "RCPT": r"TO:.*",
            "BDAT": r"[0-9]{1,20}(?: LAST)?",
            "XCLIENT": r"[A-Z]+=.*",
        },
        "pop3": {
            **dict.fromkeys(("LIST", "RETR", "DELE", "TOP", "UIDL"), _NUMBERS),
            "LANG": r"[A-Z0-9*-]{1,35}",
            "XTND": "XMIT",
        },
    }.items()
}

#: Verbs behind which nothing stands, or nothing that is shown.
_BARE = {
    "smtp": frozenset({"DATA", "RSET", "NOOP", "HELP", "QUIT", "STARTTLS"}),
    "pop3": frozenset({"STAT", "NOOP", "RSET", "QUIT", "CAPA", "STLS", "UTF8"}),
}

#: Verbs behind which a secret stands, of whichever protocol a client believes to speak.
_SECRET = frozenset({"PASS", "APOP", "AUTHENTICATE", "LOGIN"})

#: Mechanisms of SASL that people have heard of: the word behind AUTH is shown only when it is one of these.
_MECHANISMS = frozenset(
    {
        *(
            "PLAIN",
            "LOGIN",
            "CRAM-MD5",
            "DIGEST-MD5",
            "NTLM",
            "GSSAPI",
            "EXTERNAL",
            "ANONYMOUS",
            "XOAUTH2",
            "OAUTHBEARER",
        ),
        *("SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"),
    }
)

_VERB = re.compile(r"([A-Za-z]{3,12}8?)(?: +(.*))?\Z", re.DOTALL)

# Within a line they are no part of a command: a CR alone may be somebody's line end, and what is behind it the next command.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def shown_command(service: str, line: bytes | Line) -> str:
    """What of a command line of ``smtp`` or ``pop3`` may be written down."""
    if isinstance(line, Line):
        return "[a line that is too long]"
    text = line.rstrip(b"\r\n").decode("utf-8", "backslashreplace")
    return _shown(service, text, len(line)) + ("" if line.endswith(b"\r\n") else " [ends without CR]")


def shown_response() -> str:
    """What of a line of a SASL exchange may be written down."""
    return BLANK


def shown_reply(service: str, line: bytes) -> str:
    """What of one line of ours may be written down: a challenge of SASL has a salt, a nonce or a signature in it."""
    if service == "smtp" and line[:4] == b"334 ":
        return f"334 {BLANK}"
    if service == "pop3" and line[:2] == b"+ ":
        return f"+ {BLANK}"
    return line.decode("utf-8", "backslashreplace")


def _shown(service: str, text: str, octets: int) -> str:
    found = _VERB.match(text)
    if found is None or (_CONTROL.search(text) and found[1].upper() not in _SECRET):
        return f"[not a command, {octets} octets]"
    verb, argument = found[1], found[2] or ""
    name = verb.upper()
    if name == "AUTH":
        return f"{verb}{_shown_mechanism(argument)}"
    if name in _SECRET:
        return f"{verb} {BLANK}" if argument else verb
    if name in _SHOWN[service]:
        return text if not argument or _SHOWN[service][name].match(argument) else f"{verb} {BLANK}"
    if name == "USER" and service == "pop3":
        # People write the password behind the name.
        user, _, more = argument.partition(" ")
        return f"{verb} {user}{f' {BLANK}' if more else ''}"
    if name in _BARE[service]:
        return f"{verb} {BLANK}" if argument else verb
    return f"[not a command, {octets} octets]"


def _shown_mechanism(argument: str) -> str:
    mechanism, _, initial = argument.partition(" ")
    if mechanism.upper() not in _MECHANISMS:
        return f" {BLANK}" if argument else ""
    return f" {mechanism}{f' {BLANK}' if initial else ''}"
