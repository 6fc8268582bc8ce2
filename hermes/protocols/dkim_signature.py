"""
A DKIM signature as a header field: which fields it covers, its tags, and how it is written (RFC 6376 3.5, 3.7, 5.4).

The cryptography is done elsewhere: :func:`draft` gives what is to be signed, :meth:`Draft.signed` the field with the signature.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Sequence

import attrs

from hermes.protocols.dkim_canonical import Field, relaxed_field

#: The field's name.
FIELD = "DKIM-Signature"

#: The algorithms: RFC 8463 3 and RFC 8301 3.1, which takes rsa-sha1 away.
RSA, ED25519 = "rsa-sha256", "ed25519-sha256"

#: RFC 6376 5.4.1: what people see, and what says how the body is to be read.
DEFAULT_HEADERS = (
    *("from", "reply-to", "sender", "subject", "date", "message-id", "to", "cc", "in-reply-to", "references"),
    *("mime-version", "content-type", "content-transfer-encoding", "content-id", "content-description"),
    *("resent-date", "resent-from", "resent-to", "resent-cc", "resent-message-id"),
    *("list-id", "list-help", "list-unsubscribe", "list-unsubscribe-post", "list-subscribe", "list-post", "list-owner"),
    *("list-archive", "auto-submitted", "tls-required"),
)

#: Of these nobody can add another one without breaking the signature (RFC 6376 8.15).
DEFAULT_OVERSIGN = ("from", "reply-to", "subject", "date", "to", "cc", "mime-version", "content-type")

#: RFC 6376 3.5: fields that others change on the way are not signed, whatever the settings ask for.
NEVER_SIGNED = frozenset({"return-path", "received", "comments", "keywords", "bcc", "resent-bcc", "dkim-signature"})

#: How long the lines of the field become; RFC 5322 2.1.1 asks for 78.
_LINE = 76


@attrs.frozen
class Coverage:
    """Which fields are signed: all that there are of ``headers``, and one more than there are of ``oversign``."""

    headers: Collection[str] = DEFAULT_HEADERS
    oversign: Collection[str] = DEFAULT_OVERSIGN


@attrs.frozen
class Draft:
    """A signature without its value: the field up to ``b=``, and the octets that are to be signed."""

    field: str
    to_sign: bytes

    def signed(self, signature: bytes) -> str:
        """The field with its value, folded, lines ending in LF, the last one too."""
        # RFC 6376 3.5: white space in b= is ignored, and while signing the value was empty.
        value = base64.b64encode(signature).decode("ascii")
        rows = [value[start : start + _LINE - 1] for start in range(0, len(value), _LINE - 1)]
        return "\n ".join([self.field, *rows]) + "\n"


def covered(fields: Sequence[Field], coverage: Coverage) -> list[tuple[str, Field | None]]:
    """
    The fields to sign in the order of ``h=``; None stands for one that is not there and may not be added.

    RFC 6376 5.4.2: of several fields of one name the last one is signed first.
    """
    wanted = [*dict.fromkeys((*coverage.headers, *coverage.oversign))]
    chosen: list[tuple[str, Field | None]] = []
    for name in wanted:
        if name in NEVER_SIGNED:
            continue
        chosen += [(name, field) for field in reversed(fields) if field.name == name]
        if name in coverage.oversign:
            chosen.append((name, None))
    return chosen


def draft(
    fields: Sequence[Field],
    body_hash: bytes,
    *,
    domain: str,
    selector: str,
    algorithm: str,
    signed_at: int,
    coverage: Coverage,
) -> Draft:
    """Write the field without its value; ``domain`` and ``selector`` are in A-labels (RFC 8616 5)."""
    chosen = covered(fields, coverage)
    tags = [
        "v=1",
        f"a={algorithm}",
        "c=relaxed/relaxed",
        f"d={domain}",
        f"s={selector}",
        f"t={signed_at}",
        f"bh={base64.b64encode(body_hash).decode('ascii')}",
    ]
    lines = [f"{FIELD}:"]
    for tag in tags:
        _append(lines, f" {tag};")
    # h= is folded at its colons, where white space may stand.
    names = [name for name, _ in chosen]
    for position, name in enumerate(names):
        text = f" h={name}" if not position else name
        _append(lines, text + (":" if position < len(names) - 1 else ";"))
    field = "\n".join(lines) + "\n b="
    parts = [relaxed_field(each.octets) for _, each in chosen if each is not None]
    # RFC 6376 3.7: the signature's own field comes last, and has no line end.
    return Draft(field, b"".join(part + b"\r\n" for part in parts) + relaxed_field(field.encode("ascii")))


def _append(lines: list[str], text: str) -> None:
    """Put text on the last line, or on one of its own when it would become too long."""
    if len(lines[-1]) + len(text) > _LINE:
        lines.append(f" {text.lstrip()}")
    else:
        lines[-1] += text
