"""
One command line, as a value (RFC 5321 4.1.1).

:func:`split` finds verb and argument, :data:`PARSERS` says what each verb's argument must be. Nothing here knows what was said
before: see :mod:`hermes.protocols.smtp.sequence`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial

import attrs

from hermes.core.envelope import Recipient, TLSNeed
from hermes.core.reply import Reply
from hermes.protocols.smtp.esmtp import apply_mail, apply_recipient
from hermes.protocols.smtp.events import (
    Expand,
    Hello,
    Help,
    MailFrom,
    Noop,
    Quit,
    RecipientTo,
    Refused,
    Reset,
    StartTLS,
    TurnAround,
    Verify,
    XClient,
)
from hermes.protocols.smtp.grammar import MalformedError, parse_path, printable_hello
from hermes.protocols.smtp.parameters import MAX_DOMAIN_OCTETS
from hermes.protocols.smtp.xclient import parse_xclient


@attrs.define
class Auth:
    """AUTH: the mechanism's name in capitals, and the initial response as it stands on the wire (RFC 4954 4)."""

    mechanism: str
    initial: str | None


@attrs.define
class Data:
    """DATA."""


@attrs.define
class Chunk:
    """BDAT: so many octets follow (RFC 3030 2)."""

    octets: int
    last: bool


Command = (
    Hello
    | StartTLS
    | Auth
    | MailFrom
    | RecipientTo
    | Data
    | Chunk
    | Reset
    | Noop
    | Verify
    | Expand
    | TurnAround
    | Help
    | Quit
    | XClient
)

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")

# bdat-cmd = "BDAT" SP chunk-size [ SP end-marker ] CR LF
# chunk-size = 1*DIGIT
# end-marker = "LAST"   (RFC 3030 2)
_BDAT = re.compile(r"([0-9]{1,20})(?: +(LAST))?", re.IGNORECASE)

# auth-command = "AUTH" SP sasl-mech [SP initial-response]
# sasl-mech = 1*20mech-char   (RFC 4422 3.1)
_AUTH = re.compile(r"([A-Za-z0-9_-]{1,20})(?: +([A-Za-z0-9+/]+=*|=))?")

_USE_BDAT = "Use BDAT with a number of octets, and LAST when they are the last"

# The line of a BDAT, however badly it is written.
_LIKE_BDAT = re.compile(rb"[\x00-\x20]*BDAT(?![A-Z0-9])", re.IGNORECASE)

_FROM = re.compile(r"FROM: *", re.IGNORECASE)
_TO = re.compile(r"TO: *", re.IGNORECASE)

#: Verbs that exist and that Hermes does not offer: RFC 5321 F, RFC 2645 (ATRN).
_UNSUPPORTED = frozenset({"ATRN", "SAML", "SEND", "SOML", "TURN"})

#: What a browser, or a script on a web page, says first when it is made to talk to a mail server.
_HTTP = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PRI", "PUT", "TRACE"})


def refused(rule: str, code: int, enhanced: str | None, text: str) -> Refused:
    """A refusal by the rule of that name."""
    return Refused(rule, Reply.of(code, enhanced, text))


def split(line: bytes, *, first: bool) -> tuple[str, str] | Refused:
    """
    Take a line apart into verb, in capitals, and argument; ``first`` says that it is the session's first.

    White space behind the argument is let through (RFC 5321 4.1.1), and so is more than one space before it, which old
    mail programs send.
    """
    found = _verb_and_argument(line, first=first)
    if isinstance(found, Refused) and _LIKE_BDAT.match(line):
        # What follows are as many octets as the client thinks it has said: nobody can tell where the next command begins,
        # and taking a message for commands is the worst that a server can do.
        return refused(found.rule, 421, "4.5.4", _USE_BDAT)
    return found


def _verb_and_argument(line: bytes, *, first: bool) -> tuple[str, str] | Refused:
    verb_octets, _, argument_octets = line.strip(b"\r\n").partition(b" ")
    verb = verb_octets.decode("ascii", "replace").rstrip("\t").upper()
    if first and verb in _HTTP:
        return refused("protocol.http", 421, "4.7.0", "This is a mail server, not a web server")
    # RFC 5321 2.3.8: a line ends in CRLF and in nothing else.
    if not line.endswith(b"\r\n"):
        return refused("protocol.bare_newline", 500, "5.5.2", "Lines must end in CR LF; this one ended in a bare LF")
    argument_octets = argument_octets.strip(b" \t")
    if _CONTROL.search(argument_octets):
        return refused("protocol.control_character", 500, "5.5.2", "Control characters have no place in a command")
    if verb not in PARSERS:
        return _unknown(verb)
    if argument_octets.isascii():
        return verb, argument_octets.decode("ascii")
    try:
        # RFC 5321 4.1.4 forbids to refuse a client for its name, and some computers have names in old character sets.
        return verb, argument_octets.decode("utf-8", "replace" if verb in HELLO_VERBS else "strict")
    except UnicodeDecodeError:
        return refused("protocol.syntax", 501, "5.5.2", "The command is neither ASCII nor UTF-8")


def parse(verb: str, argument: str, *, tls: bool = False) -> Command | Refused:
    """Read the argument of a verb that :func:`split` let through; ``tls`` says whether TLS is on."""
    try:
        command = PARSERS[verb](argument)
        if isinstance(command, MailFrom) and command.tls is TLSNeed.REQUIRED and not tls:
            # RFC 8689 2: only in a session with TLS; in the clear it has not been offered.
            raise MalformedError(555, "5.5.4", "MAIL knows no parameter REQUIRETLS without TLS")
        return command
    except MalformedError as error:
        # RFC 2034 4: answers to EHLO and HELO have no enhanced code.
        enhanced = None if verb in HELLO_VERBS else error.enhanced
        rule = "protocol.parameter" if error.code == 555 else "protocol.syntax"
        return refused(rule, error.code, enhanced, error.text)


def _unknown(verb: str) -> Refused:
    if verb in _UNSUPPORTED:
        return refused("protocol.unsupported", 502, "5.5.1", f"{verb} is not offered here")
    return refused("protocol.unknown_command", 500, "5.5.2", "Command unknown")


def _malformed(text: str) -> MalformedError:
    return MalformedError(501, "5.5.4", text)


def _hello(verb: str, argument: str) -> Hello:
    if not argument or " " in argument or len(argument) > MAX_DOMAIN_OCTETS:
        raise _malformed(f"Use {verb} with your host name, or with your address in square brackets")
    return Hello(verb, printable_hello(argument))


def _starttls(argument: str) -> StartTLS:
    _no_argument("STARTTLS", argument)
    return StartTLS()


def _auth(argument: str) -> Auth:
    found = _AUTH.fullmatch(argument)
    if found is None:
        raise _malformed("Use AUTH with a mechanism and perhaps an initial response in base64")
    return Auth(found[1].upper(), found[2])


def _mail(argument: str) -> MailFrom:
    found = _FROM.match(argument)
    if found is None:
        raise _malformed("Use MAIL FROM:<address>, and parameters behind it")
    path = argument[found.end() :]
    if path.startswith("<>"):
        address, rest = "", path[2:]
    else:
        address, rest = parse_path(path, "5.1.7")
    event = MailFrom(address)
    if rest:
        _separated(rest)
        apply_mail(rest, event)
    if not event.smtputf8 and not argument.isascii():
        # RFC 6531 3.5
        raise MalformedError(550, "5.6.7", "An address outside ASCII wants the parameter SMTPUTF8")
    return event


def _rcpt(argument: str) -> RecipientTo:
    found = _TO.match(argument)
    if found is None:
        raise _malformed("Use RCPT TO:<address>, and parameters behind it")
    path = argument[found.end() :]
    if path[:12].lower() == "<postmaster>":
        # RFC 5321 4.5.1: always, and without a domain.
        address, rest = path[1:11], path[12:]
    else:
        address, rest = parse_path(path, "5.1.3")
    recipient = Recipient(address)
    if rest:
        _separated(rest)
        recipient = apply_recipient(rest, recipient)
    return RecipientTo(recipient)


def _separated(rest: str) -> None:
    if not rest.startswith(" "):
        raise _malformed("There must be a space between the address and its parameters")


def _data(argument: str) -> Data:
    _no_argument("DATA", argument)
    return Data()


def _bdat(argument: str) -> Chunk:
    found = _BDAT.fullmatch(argument)
    if found is None:
        # As in split.
        raise MalformedError(421, "4.5.4", _USE_BDAT)
    return Chunk(int(found[1]), found[2] is not None)


def _reset(argument: str) -> Reset:
    _no_argument("RSET", argument)
    return Reset()


def _noop(_argument: str) -> Noop:
    # RFC 5321 4.1.1.9: a parameter is allowed and ignored.
    return Noop()


def _verify(argument: str) -> Verify:
    return Verify(_without_smtputf8(argument, "VRFY"))


def _expand(argument: str) -> Expand:
    return Expand(_without_smtputf8(argument, "EXPN"))


def _without_smtputf8(argument: str, verb: str) -> str:
    """Drop the parameter of RFC 6531 3.7.4.2: Hermes shows no mailbox in these answers, in any script."""
    text = argument[:-9].rstrip(" ") if argument[-9:].upper() == " SMTPUTF8" else argument
    if not text:
        raise _malformed(f"Use {verb} with a name or an address")
    return text


def _etrn(argument: str) -> TurnAround:
    if not argument or " " in argument or not argument.isascii():
        # RFC 1985 5.2
        raise _malformed("Use ETRN with a domain, @ and a domain, or # and a destination")
    return TurnAround(argument)


def _help(argument: str) -> Help:
    return Help(argument)


def _quit(argument: str) -> Quit:
    _no_argument("QUIT", argument)
    return Quit()


def _no_argument(verb: str, argument: str) -> None:
    """RFC 5321 4.1.1: parameters of commands that have none should be refused."""
    if argument:
        raise _malformed(f"{verb} takes no parameter")


HELLO_VERBS = frozenset({"EHLO", "HELO", "LHLO"})

#: All that there are, in the order in which HELP names them.
PARSERS: Mapping[str, Callable[[str], Command]] = {
    "EHLO": partial(_hello, "EHLO"),
    "HELO": partial(_hello, "HELO"),
    "LHLO": partial(_hello, "LHLO"),
    "STARTTLS": _starttls,
    "AUTH": _auth,
    "MAIL": _mail,
    "RCPT": _rcpt,
    "DATA": _data,
    "BDAT": _bdat,
    "RSET": _reset,
    "NOOP": _noop,
    "VRFY": _verify,
    "EXPN": _expand,
    "ETRN": _etrn,
    "HELP": _help,
    "QUIT": _quit,
    "XCLIENT": parse_xclient,
}
