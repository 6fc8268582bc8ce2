"""What EHLO and LHLO announce, and the name of the protocol in ``Received:``."""

from __future__ import annotations

from hermes.protocols.smtp.events import Flavor
from hermes.protocols.smtp.parameters import ServerParameters
from hermes.protocols.smtp.sequence import Session
from hermes.protocols.smtp.xclient import ATTRIBUTES

#: RFC 2920, 6152, 6531, 2034, 3030 (both), 3461; HELP is one of RFC 5321 2.2.2's own. EXPN would have to be here if it worked
#: (RFC 5321 3.5.2).
_ALWAYS = (
    "PIPELINING",
    "8BITMIME",
    "SMTPUTF8",
    "ENHANCEDSTATUSCODES",
    "CHUNKING",
    "BINARYMIME",
    "DSN",
    "HELP",
)

#: RFC 9422 4.1, 4.2: a limit is 1 to 999999.
_MAX_LIMIT = 999_999


def extensions(session: Session, parameters: ServerParameters) -> list[str]:
    """The lines of the answer to EHLO behind the first, as things stand now."""
    # RFC 1870 4: 0 says that there is no fixed limit.
    lines = [*_ALWAYS, f"SIZE {parameters.max_size_octets}"]
    messages, recipients = min(parameters.max_messages, _MAX_LIMIT), min(parameters.max_recipients, _MAX_LIMIT)
    lines.append(f"LIMITS MAILMAX={messages} RCPTMAX={recipients}")
    if session.starttls_offered(parameters):
        # RFC 3207 4.2: not once TLS is on.
        lines.append("STARTTLS")
    if session.tls_active:
        # RFC 8689 2
        lines.append("REQUIRETLS")
    if session.login_offered(parameters):
        lines.append(f"AUTH {' '.join(session.mechanisms(parameters))}")
    if parameters.etrn:
        # RFC 1985 4
        lines.append("ETRN")
    if parameters.xclient:
        lines.append(f"XCLIENT {' '.join(ATTRIBUTES)}")
    return lines


def protocol_keyword(session: Session, flavor: Flavor, *, smtputf8: bool) -> str:
    """The word behind ``with`` (RFC 3848; RFC 6531 4.3): SMTP, ESMTPSA, UTF8LMTPS..."""
    extended = session.told_protocol != "SMTP" if session.told_protocol else session.extended
    if flavor is Flavor.LMTP:
        name = "LMTP"
    elif extended:
        name = "ESMTP"
    else:
        # No extension was agreed on, so nothing registered tells more.
        return "SMTP"
    if smtputf8:
        name = f"UTF8{name.removeprefix('E')}"
    return f"{name}{'S' if session.tls_active else ''}{'A' if session.authenticated else ''}"
