"""Reports about TLS to other domains (TLS-RPT, RFC 8460): who wants them, what is in them, the letter that carries one."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs

from hermes.core.printable import one_line
from hermes.core.report import date_time
from hermes.core.report_parts import sender as from_field
from hermes.core.report_wording import ENGLISH

#: Places that one domain may name (RFC 8460 3 sets no limit), and how long each may be.
MAX_PLACES = 4
MAX_PLACE_CHARACTERS = 500

#: The media type of a report (RFC 8460 6.5).
MEDIA_TYPE = "application/tlsrpt+gzip"

_VERSION = re.compile(rb"v=TLSRPTv1[ \t]*(?:;|\Z)")

# tlsrpt-rua = "rua=" tlsrpt-uri *(*WSP "," *WSP tlsrpt-uri)   (RFC 8460 3)
_RUA = re.compile(rb"[ \t]*rua[ \t]*=(.*)", re.DOTALL)

# Only what can go into a command or a URL as it is; a comma, "!" or ";" would have to be percent-encoded (RFC 8460 3).
_MAILTO = re.compile(r"mailto:([A-Za-z0-9.!#$%&'*+/=^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,255})\Z")
_HTTPS = re.compile(r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[!-~]*)?\Z")


@attrs.frozen
class Result:
    """
    What came of sessions with one host: ``kind`` is empty for success, or one of RFC 8460 4.3.

    ``policy`` is ``tlsa``, ``sts`` or ``no-policy-found``; ``lines`` are the policy as it was.
    """

    domain: str
    policy: str
    host: str
    kind: str = ""
    address: str = ""
    lines: tuple[str, ...] = ()


@attrs.frozen
class Count:
    """How often there was a result."""

    result: Result
    sessions: int


@attrs.frozen
class Sender:
    """Who reports: the name of the organisation, the address to ask, this host, and the address the letters come from."""

    organization: str
    contact: str
    hostname: str
    address: str


def places(texts: Sequence[bytes]) -> list[str]:
    """Where a domain wants its reports: ``mailto:`` and ``https:`` places of its one record; none without (RFC 8460 3)."""
    records = [text for text in texts if _VERSION.match(text)]
    if len(records) != 1:
        return []
    for field in records[0].split(b";")[1:]:
        if found := _RUA.match(field):
            wanted = [place.strip().decode("ascii", "replace") for place in found[1].split(b",")]
            good = [
                each
                for each in wanted
                if len(each) <= MAX_PLACE_CHARACTERS and (_MAILTO.match(each) or _HTTPS.match(each))
            ]
            return list(dict.fromkeys(good))[:MAX_PLACES]
    return []


def address_of(place: str) -> str | None:
    """The address of a ``mailto:`` place; None for another kind."""
    found = _MAILTO.match(place)
    return found[1] if found else None


def report_id(domain: str, day: str, hostname: str) -> str:
    """The same for the same report, and for no other (RFC 8460 4.4)."""
    digest = hashlib.sha256(f"{day} {domain} {hostname}".encode()).hexdigest()[:16]
    return f"{day}.{digest}@{hostname}"


def report(domain: str, day: str, counts: Iterable[Count], sender: Sender) -> bytes:
    """The report as JSON (RFC 8460 4.4); ``day`` is like ``2026-01-31``."""
    policies: dict[tuple[str, tuple[str, ...]], dict[str, Any]] = {}
    for count in counts:
        result = count.result
        entry = policies.setdefault((result.policy, result.lines), _policy(domain, result))
        summary = entry["summary"]
        if not result.kind:
            summary["total-successful-session-count"] += count.sessions
            if result.policy == "sts" and result.host not in entry["policy"]["mx-host"]:
                entry["policy"]["mx-host"].append(result.host)
            continue
        summary["total-failure-session-count"] += count.sessions
        details = {"result-type": result.kind, "failed-session-count": count.sessions}
        if result.host:
            details["receiving-mx-hostname"] = result.host
        if result.address:
            details["receiving-ip"] = result.address
        entry.setdefault("failure-details", []).append(details)
    document = {
        "organization-name": sender.organization,
        "date-range": {"start-datetime": f"{day}T00:00:00Z", "end-datetime": f"{day}T23:59:59Z"},
        "contact-info": sender.contact,
        "report-id": report_id(domain, day, sender.hostname),
        "policies": list(policies.values()),
    }
    return json.dumps(document, indent=1).encode("ascii")


def _policy(domain: str, result: Result) -> dict[str, Any]:
    policy: dict[str, Any] = {"policy-type": result.policy, "policy-domain": domain}
    if result.lines:
        policy["policy-string"] = list(result.lines)
    if result.policy == "sts":
        policy["mx-host"] = [
            line.partition(":")[2].strip() for line in result.lines if line.partition(":")[0].strip() == "mx"
        ]
    return {
        "policy": policy,
        "summary": {"total-successful-session-count": 0, "total-failure-session-count": 0},
    }


def packed(octets: bytes) -> bytes:
    """The report as it travels; the same octets for the same report."""
    return gzip.compress(octets, mtime=0)


def file_name(domain: str, day: str, sender: Sender) -> str:
    """RFC 8460 5.1: ``filename = sender "!" policy-domain "!" begin-timestamp "!" end-timestamp "." extension``."""
    start = int(datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp())
    return f"{sender.hostname}!{domain}!{start}!{start + 86399}.json.gz"


def letter(domain: str, day: str, octets: bytes, to: str, sender: Sender, now: float) -> bytes:
    """The report as a message with LF line ends (RFC 8460 5.3); ``octets`` are packed."""
    identity = report_id(domain, day, sender.hostname)
    encoded = base64.encodebytes(octets)
    boundary = "=_" + hashlib.sha256(octets + to.encode()).hexdigest()[:40]
    name = file_name(domain, day, sender)
    head = [
        f"From: {from_field(_name(sender), sender.address, sender.hostname, ENGLISH)}",
        f"To: <{to}>",
        f"Subject: Report Domain: {domain} Submitter: {sender.hostname}",
        f"\tReport-ID: <{identity}>",
        f"Date: {date_time(now)}",
        f"Message-ID: <{identity}>",
        "Auto-Submitted: auto-generated",
        # RFC 8460 3: a report about broken TLS must not need it.
        "TLS-Required: No",
        f"TLS-Report-Domain: {domain}",
        f"TLS-Report-Submitter: {sender.hostname}",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type="tlsrpt"; boundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        f"This is a report about TLS to the servers of {domain} on {day} (UTC),",
        f"from {sender.hostname}. Questions to {sender.contact}.",
        "",
        f"--{boundary}",
        f"Content-Type: {MEDIA_TYPE}",
        "Content-Transfer-Encoding: base64",
        f'Content-Disposition: attachment; filename="{name}"',
        "",
        "",
    ]
    return "\n".join(head).encode("ascii") + encoded + f"\n--{boundary}--\n".encode("ascii")


def _name(sender: Sender) -> str:
    """The organisation as a display name, which is not folded, without what may not stand in quotes."""
    return one_line(sender.organization, 100).translate({ord('"'): " ", ord("\\"): " "}).strip()


def day_of(now: float) -> str:
    """The day in UTC, as RFC 8460 4.1 wants it."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
