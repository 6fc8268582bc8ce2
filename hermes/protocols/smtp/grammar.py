"""
Mail addresses as they stand on the wire: mailboxes, domains, address literals and paths (RFC 5321 4.1.2, 4.1.3; RFC 6531 3.3).

Every function takes text and returns text in the form of :mod:`hermes.core.address`, or raises :class:`MalformedError`. The
patterns use possessive quantifiers, so the time they take grows with the length of the text and no faster.
"""

from __future__ import annotations

import re
import unicodedata
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from hermes.protocols.smtp.parameters import MAX_DOMAIN_OCTETS, MAX_LOCAL_PART_OCTETS, MAX_PATH_OCTETS

#: What a name in HELO may be made of, and what appears for anything else: it goes into Received: and logs.
_NOT_IN_HELLO = re.compile(r"[^A-Za-z0-9.:_\[\]-]")

#: RFC 1035 2.3.4.
MAX_LABEL_OCTETS = 63

_NON_ASCII = "\x80-\U0010ffff"

# atext = ALPHA / DIGIT / "!" / "#" / ...   (RFC 5322 3.2.3)
# atext =/ UTF8-non-ascii   (RFC 6531 3.3)
_ATEXT = rf"[A-Za-z0-9!#$%&'*+\-/=?^_`{{|}}~{_NON_ASCII}]"

# Dot-string = Atom *("."  Atom)   (RFC 5321 4.1.2)
_DOT_STRING = rf"{_ATEXT}++(?:\.{_ATEXT}++)*+"

# Quoted-string = DQUOTE *QcontentSMTP DQUOTE
# quoted-pairSMTP = %d92 %d32-126
# qtextSMTP = %d32-33 / %d35-91 / %d93-126   (RFC 5321 4.1.2) / UTF8-non-ascii   (RFC 6531 3.3)
_QUOTED_STRING = rf'"(?:[ !#-\[\]-~{_NON_ASCII}]|\\[ -~])*+"'

# sub-domain = Let-dig [Ldh-str]   (RFC 5321 4.1.2) / U-label   (RFC 6531 3.3)
# Ldh-str = *( ALPHA / DIGIT / "-" ) Let-dig
_LABEL = rf"[A-Za-z0-9{_NON_ASCII}]++(?:-++[A-Za-z0-9{_NON_ASCII}]++)*+"

# Domain = sub-domain *("." sub-domain)
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*+"

# address-literal = "[" ( IPv4-address-literal / IPv6-address-literal / General-address-literal ) "]"   (RFC 5321 4.1.3)
_LITERAL = r"\[[!-Z^-~]++\]"

# Path = "<" [ A-d-l ":" ] Mailbox ">"
# A-d-l = At-domain *( "," At-domain )
# Mailbox = Local-part "@" ( Domain / address-literal )
_PATH = re.compile(
    rf"<(?:@{_DOMAIN}(?:,@{_DOMAIN})*+:)?(?:({_DOT_STRING})|({_QUOTED_STRING}))@(?:({_DOMAIN})|({_LITERAL}))>"
)

_DOT_STRING_ONLY = re.compile(_DOT_STRING)
_DOMAIN_ONLY = re.compile(_DOMAIN)
_QUOTED_PAIR = re.compile(r"\\(.)")

#: The zero-width joiners, which IDNA (RFC 5892 A.1, A.2) and emoji need; all other invisible characters are refused.
_JOINERS = "\u200c\u200d"


class MalformedError(ValueError):
    """Text that the grammar does not allow, with the reply code and the enhanced code that the standards have for it."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.enhanced = enhanced
        self.text = text


def printable_hello(name: str) -> str:
    """The name that a client gave, with ``?`` for what cannot be in one."""
    return _NOT_IN_HELLO.sub("?", name)


def parse_path(text: str, enhanced: str) -> tuple[str, str]:
    """
    Read a path at the beginning of the text; return the address and the text behind it.

    A source route is accepted and dropped (RFC 5321 App. C). A quoted local part comes back without quotes when it does not
    need them, so that one mailbox has one form (RFC 5321 4.1.2: hosts that need quoting are to be avoided). ``enhanced`` is
    the code for a bad address: 5.1.7 for senders, 5.1.3 for recipients.
    """
    found = _PATH.match(text)
    if found is None:
        raise MalformedError(501, enhanced, _what_is_wrong(text))
    if _octets(found[0]) > MAX_PATH_OCTETS:
        raise MalformedError(501, enhanced, f"The path is too long: at most {MAX_PATH_OCTETS} octets")
    local_part, quoted, domain, literal = found.groups()
    if local_part is None:
        local_part = _canonical(quoted)
    if _octets(local_part) > MAX_LOCAL_PART_OCTETS:
        raise MalformedError(501, enhanced, f"The local part is too long: at most {MAX_LOCAL_PART_OCTETS} octets")
    if domain is None:
        domain = literal
        if not is_address_literal(domain):
            raise MalformedError(501, enhanced, "The address literal is not valid")
    elif not is_domain(domain):
        raise MalformedError(501, enhanced, "The domain is not valid: a label or the whole is too long")
    address = f"{local_part}@{domain}"
    if not _is_visible(address):
        raise MalformedError(501, enhanced, "The address has invisible characters in it")
    return address, text[found.end() :]


def is_domain(text: str) -> bool:
    """True for a domain whose labels and whole are within their limits (RFC 5321 4.5.3.1.2, RFC 1035 2.3.4)."""
    if _DOMAIN_ONLY.fullmatch(text) is None or _octets(text) > MAX_DOMAIN_OCTETS:
        return False
    return len(text) <= MAX_LABEL_OCTETS or all(_octets(label) <= MAX_LABEL_OCTETS for label in text.split("."))


def is_address_literal(text: str) -> bool:
    """
    True for ``[192.0.2.1]`` and ``[IPv6:2001:db8::1]``.

    General-address-literal (RFC 5321 4.1.3) needs a registered tag, and IPv6 is the only one there is.
    """
    if not (text.startswith("[") and text.endswith("]")):
        return False
    inner = text[1:-1]
    try:
        if inner[:5].upper() == "IPV6:":
            # A scope ("%eth0") means something on one machine only.
            return "%" not in inner and bool(IPv6Address(inner[5:]).exploded)
        return bool(IPv4Address(inner).exploded)
    except AddressValueError:
        return False


def _canonical(quoted: str) -> str:
    """A quoted local part in its shortest form: without quotes, or with the fewest backslashes."""
    content = _QUOTED_PAIR.sub(r"\1", quoted[1:-1])
    if _DOT_STRING_ONLY.fullmatch(content):
        return content
    return '"' + content.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _is_visible(address: str) -> bool:
    """False when there are control, format or space characters from outside ASCII in it: they deceive, or break headers."""
    if address.isascii():
        return True
    return all(
        character.isascii() or character in _JOINERS or unicodedata.category(character)[0] not in "CZ"
        for character in address
    )


def _octets(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8"))


def _what_is_wrong(text: str) -> str:
    if not text.startswith("<"):
        return "The address must stand in angle brackets, like <name@example.org>"
    if ">" not in text:
        return "The address has no closing angle bracket"
    if "@" not in text:
        return "The address needs a domain, like <name@example.org>"
    return "The address is not valid"
