"""
The file that ``hermes sendmail`` leaves for the server: one line of JSON with the envelope, then the message as it was given.

What other programs leave has no such line; there the header says for whom it is (:func:`addressed`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import attrs

from hermes.core import mailbox_list
from hermes.core.envelope import BodyType, Envelope, Recipient
from hermes.core.header import Header

#: The first line: a thousand recipients of 320 octets, and what is said of them.
MAX_HEAD_OCTETS = 1024 * 1024

#: Fields that name recipients (RFC 5322 3.6.3); when a message was sent again, those of the sending again (3.6.6).
_TO = ("to", "cc", "bcc")
_RESENT_TO = ("resent-to", "resent-cc", "resent-bcc")

# RFC 5322 3.6.3: what is sent to others must not tell them of Bcc.
_BCC = re.compile(rb"^(?:resent-)?bcc[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE | re.MULTILINE)

_NOTIFY = frozenset({"NEVER", "SUCCESS", "FAILURE", "DELAY"})


def head_of(envelope: Envelope) -> bytes:
    """The first line."""
    notify = envelope.recipients[0].notify if envelope.recipients else None
    told = {
        "from": envelope.reverse_path,
        "to": [each.address for each in envelope.recipients],
        "notify": None if notify is None else sorted(notify),
        "ret": envelope.ret,
        "envid": envelope.envid,
        "body": envelope.body.value,
    }
    return json.dumps(told).encode("ascii") + b"\n"


def envelope_of(line: bytes) -> Envelope:
    """The envelope that the first line holds; raise ValueError when it holds none."""
    try:
        told: dict[str, Any] = json.loads(line)
        addresses = [_address(each) for each in told["to"]]
        notify = None if told["notify"] is None else frozenset(told["notify"])
        if notify is not None and (not notify <= _NOTIFY or ("NEVER" in notify and len(notify) > 1)):
            raise ValueError("NOTIFY has a word that it cannot have")
        ret, envid = told["ret"], told["envid"]
        if ret not in {None, "FULL", "HDRS"} or not isinstance(envid, str | None):
            raise ValueError("RET or ENVID is wrong")
        reverse_path = _address(told["from"]) if told["from"] else ""
        body = BodyType(told["body"])
    except (KeyError, TypeError, RecursionError, AttributeError) as error:
        raise ValueError(f"the first line is no envelope: {error}") from None
    recipients = tuple(Recipient(each, notify) for each in dict.fromkeys(addresses))
    smtputf8 = not all(map(str.isascii, (reverse_path, *addresses)))
    return Envelope(reverse_path, recipients, body, smtputf8, ret, envid)


def _address(text: object) -> str:
    if not isinstance(text, str) or not text.isprintable() or len(text) > 320 or not text.rpartition("@")[0]:
        raise ValueError(f"{str(text)[:320]!r} is no address")
    return text


@attrs.frozen
class Addressed:
    """
    What a header says: who sends the message, or an empty text, and to whom, each once.

    ``strays`` stand where a recipient should, and are no addresses.
    """

    sender: str
    recipients: list[str]
    strays: list[str]


def addressed(header: bytes) -> Addressed:
    """Who sends a message, and to whom, as its header says; of the header no more than MAX_HEADER_OCTETS."""
    fields = Header(header)
    resent = any(fields.all(name) for name in _RESENT_TO)
    recipients: list[str] = []
    strays: list[str] = []
    for name in _RESENT_TO if resent else _TO:
        for value in fields.all(name):
            found, others = mailbox_list.read(value)
            recipients += found
            strays += others
    names = ("return-path", *(("resent-sender", "resent-from") if resent else ()), "sender", "from")
    senders = (each for name in names for value in fields.all(name) for each in mailbox_list.addresses(value))
    return Addressed(next(senders, ""), list(dict.fromkeys(recipients)), strays)


def without_bcc(header: bytes) -> bytes:
    """The header without those who shall not be named; every line must end in LF."""
    return _BCC.sub(b"", header)


@attrs.define
class LineEnds:
    """Turns CRLF, and a CR that stands alone, into LF, piece by piece; the last line gets an end."""

    _carried: bytes = b""
    _ended: bool = True

    def feed(self, piece: bytes) -> bytes:
        """The next piece."""
        data = self._carried + piece
        self._carried = b"\r" if data.endswith(b"\r") else b""
        data = data[: len(data) - len(self._carried)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if data:
            self._ended = data.endswith(b"\n")
        return data

    def finish(self) -> bytes:
        """What is still to come."""
        if self._carried or not self._ended:
            self._carried, self._ended = b"", True
            return b"\n"
        return b""


def body_of(pieces: Sequence[bytes]) -> BodyType:
    """What has to be announced for these octets (RFC 6152)."""
    return BodyType.SEVEN_BIT if all(piece.isascii() for piece in pieces) else BodyType.EIGHT_BIT
