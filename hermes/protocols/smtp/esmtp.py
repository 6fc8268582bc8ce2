"""
The parameters of MAIL and RCPT: SIZE (RFC 1870), BODY (RFC 6152, 3030), SMTPUTF8 (RFC 6531), AUTH (RFC 4954), DSN (RFC 3461),
REQUIRETLS (RFC 8689).

One table for each command says what is known; anything else is answered 555 (RFC 5321 4.1.1.11).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import attrs

from hermes.core.envelope import BodyType, Recipient, TLSNeed
from hermes.protocols.smtp.events import MailFrom
from hermes.protocols.smtp.grammar import MalformedError

#: RFC 3461 4.4: an ENVID as it stands on the wire.
MAX_ENVID_OCTETS = 100

#: RFC 3461 4.2: an ORCPT as it stands on the wire.
MAX_ORCPT_OCTETS = 500

# esmtp-param = esmtp-keyword ["=" esmtp-value]
# esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
# esmtp-value = 1*(%d33-60 / %d62-126)   (RFC 5321 4.1.2) / UTF8-non-ascii   (RFC 6531 3.3)
# "=" (%d61) inside a value is let through, here and in xtext: senders forget to encode it in ORCPT and AUTH, and it does no harm.
_PARAMETER = re.compile("([A-Za-z0-9][A-Za-z0-9-]*+)(?:=([!-~\x80-\U0010ffff]++))?")

# size-value = 1*20DIGIT   (RFC 1870 6)
_SIZE = re.compile(r"[0-9]{1,20}")

# xtext = *( xchar / hexchar )
# xchar = any ASCII CHAR between "!" (33) and "~" (126) inclusive, except for "+" and "="
# hexchar = "+" immediately followed by two upper case hexadecimal digits   (RFC 3461 4)
_XTEXT = re.compile(r"(?:[!-*,-~]|\+[0-9A-Fa-f]{2})*+")
_HEXCHAR = re.compile(r"\+([0-9A-Fa-f]{2})")

# EmbeddedUnicodeChar = %x5C.78 "{" HEXPOINT "}"   (RFC 6533 3)
_UNITEXT = re.compile("(?:[!-*,-\\[\\]-~\x80-\U0010ffff]|\\\\x\\{[0-9A-Fa-f]{2,6}\\})++")
_EMBEDDED = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")

# addr-type = atom   (RFC 3461 4.2)
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]++")

#: What may stand in a report's header: spaces and visible characters (RFC 3461 4.4 says so of ENVID).
_PRINTABLE = re.compile("[ -~\xa0-\U0010ffff]*+")

_NOTIFY = frozenset({"SUCCESS", "FAILURE", "DELAY"})
_NEVER = frozenset({"NEVER"})


def apply_mail(text: str, event: MailFrom) -> None:
    """Read the parameters behind the reverse-path into the event."""
    for keyword, value in _parameters(text):
        known = _MAIL.get(keyword)
        if known is None:
            raise _unknown(keyword, "MAIL")
        known(event, value)


def apply_recipient(text: str, recipient: Recipient) -> Recipient:
    """Read the parameters behind the forward-path; the recipient with them."""
    for keyword, value in _parameters(text):
        known = _RCPT.get(keyword)
        if known is None:
            raise _unknown(keyword, "RCPT")
        recipient = known(recipient, value)
    return recipient


def decode_xtext(text: str) -> str | None:
    """Decode xtext (RFC 3461 4); None when it is not xtext, or when what comes out is not printable ASCII."""
    if _XTEXT.fullmatch(text) is None:
        return None
    decoded = _HEXCHAR.sub(lambda found: chr(int(found[1], 16)), text)
    return decoded if decoded.isascii() and _PRINTABLE.fullmatch(decoded) else None


def _parameters(text: str) -> list[tuple[str, str | None]]:
    """Split into keywords, in capitals, and values. Each may be given once (RFC 5321 4.1.1.11 knows no lists)."""
    parameters: list[tuple[str, str | None]] = []
    seen = set()
    for word in text.split(" "):
        if not word:
            continue
        found = _PARAMETER.fullmatch(word)
        if found is None:
            raise _malformed("The parameters behind the address are malformed")
        keyword = found[1].upper()
        if keyword in seen:
            raise _malformed(f"{keyword} is given twice")
        seen.add(keyword)
        parameters.append((keyword, found[2]))
    return parameters


def _size(event: MailFrom, value: str | None) -> None:
    if value is None or _SIZE.fullmatch(value) is None:
        raise _malformed("SIZE wants a number of octets")
    event.size_octets = int(value)


def _body(event: MailFrom, value: str | None) -> None:
    try:
        event.body = BodyType((value or "").upper())
    except ValueError:
        raise _malformed("BODY wants 7BIT, 8BITMIME or BINARYMIME") from None


def _smtputf8(event: MailFrom, value: str | None) -> None:
    if value is not None:
        raise _malformed("SMTPUTF8 takes no value")
    event.smtputf8 = True


def _require_tls(event: MailFrom, value: str | None) -> None:
    if value is not None:
        raise _malformed("REQUIRETLS takes no value")
    event.tls = TLSNeed.REQUIRED


def _auth(_event: MailFrom, value: str | None) -> None:
    # RFC 4954 5: whom the client says the message comes from. Hermes trusts no client's word for it, and it is free to do so
    # ("as if AUTH=<> had been given"); what is not xtext is refused all the same.
    if value is None or decode_xtext(value) is None:
        raise _malformed("AUTH wants an address as xtext, or <>")


def _ret(event: MailFrom, value: str | None) -> None:
    ret = (value or "").upper()
    if ret not in {"FULL", "HDRS"}:
        raise _malformed("RET wants FULL or HDRS")
    event.ret = ret


def _envid(event: MailFrom, value: str | None) -> None:
    if value is None or len(value) > MAX_ENVID_OCTETS:
        raise _malformed(f"ENVID wants 1 to {MAX_ENVID_OCTETS} octets")
    event.envid = decode_xtext(value)
    if event.envid is None:
        raise _malformed("ENVID wants xtext of printable characters")


def _notify(recipient: Recipient, value: str | None) -> Recipient:
    notify = frozenset((value or "").upper().split(","))
    # NEVER stands alone (RFC 3461 4.1).
    if notify != _NEVER and not notify <= _NOTIFY:
        raise _malformed("NOTIFY wants NEVER, or some of SUCCESS, FAILURE and DELAY")
    return attrs.evolve(recipient, notify=notify)


def _orcpt(recipient: Recipient, value: str | None) -> Recipient:
    if value is None or len(value.encode("utf-8")) > MAX_ORCPT_OCTETS:
        raise _malformed(f"ORCPT wants an address type and an address, at most {MAX_ORCPT_OCTETS} octets")
    address_type, semicolon, encoded = value.partition(";")
    if not (semicolon and encoded and _ADDRESS_TYPE.fullmatch(address_type)):
        raise _malformed("ORCPT wants an address type and an address, like rfc822;name@example.org")
    address = _decode_unitext(encoded) if address_type.lower() == "utf-8" else decode_xtext(encoded)
    if address is None:
        raise _malformed("ORCPT wants its address as xtext of printable characters")
    return attrs.evolve(recipient, original=f"{address_type};{address}")


def _decode_unitext(text: str) -> str | None:
    """Decode an address of type utf-8 (RFC 6533 3); None when it is malformed or not printable."""
    if _UNITEXT.fullmatch(text) is None:
        return None
    try:
        decoded = _EMBEDDED.sub(lambda found: chr(int(found[1], 16)), text)
        # A surrogate is no character; it would fail when the address is written.
        decoded.encode("utf-8")
    except (ValueError, OverflowError):
        return None
    return decoded if _PRINTABLE.fullmatch(decoded) else None


def _malformed(text: str) -> MalformedError:
    return MalformedError(501, "5.5.4", text)


def _unknown(keyword: str, verb: str) -> MalformedError:
    return MalformedError(555, "5.5.4", f"{verb} knows no parameter {keyword} here")


_MAIL: Mapping[str, Callable[[MailFrom, str | None], None]] = {
    "SIZE": _size,
    "BODY": _body,
    "SMTPUTF8": _smtputf8,
    "AUTH": _auth,
    "RET": _ret,
    "ENVID": _envid,
    "REQUIRETLS": _require_tls,
}

_RCPT: Mapping[str, Callable[[Recipient, str | None], Recipient]] = {"NOTIFY": _notify, "ORCPT": _orcpt}
