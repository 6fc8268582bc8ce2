"""A mail transaction while it is open: what MAIL and RCPT have said so far (RFC 5321 3.3)."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from hermes.core import address
from hermes.core.dns_answer import Budget
from hermes.core.envelope import BodyType, Envelope, Origin, Recipient, TLSNeed
from hermes.core.findings import Findings
from hermes.core.visit import Measures, Visit


@attrs.define
class Transaction:
    """
    One transaction of one session.

    ``listener`` names the way in (``smtp``, ``submission``...); ``submission`` says that RFC 6409 holds: the client is a
    person who must have logged in. ``size_octets`` is 0 when not declared. ``recipients`` holds every recipient that was
    accepted, in the order of the commands, and ``destinations`` the router's word for each address. ``limited`` has those
    addresses whose mailbox has a quota. ``replies_for_each`` says that after the message the client hears about each
    recipient (RFC 2033 4.2), and not about all in one reply. ``via`` is the front end that said who the peer is, or empty;
    ``tls`` what the message asks of its further way.
    ``visit`` is the session, ``findings`` what the checks have found out about the message, ``measures`` what is to be done
    with it; ``memory`` is what checks have to remember of it, by names of their own; ``budget`` is what may be asked of the DNS
    for it. ``facts`` are further ones for its first event in the trace.
    """

    origin: Origin
    listener: str
    submission: bool
    reverse_path: str
    size_octets: int = 0
    body: BodyType = BodyType.SEVEN_BIT
    smtputf8: bool = False
    ret: str | None = None
    envid: str | None = None
    recipients: list[Recipient] = attrs.field(factory=list)
    destinations: dict[str, str] = attrs.field(factory=dict)
    limited: list[str] = attrs.field(factory=list)
    replies_for_each: bool = False
    via: str = ""
    tls: TLSNeed = TLSNeed.USUAL
    visit: Visit = attrs.field(default=attrs.Factory(lambda self: Visit(self.origin.peer), takes_self=True))
    findings: Findings = attrs.field(default=attrs.Factory(lambda self: Findings(self.visit.findings), takes_self=True))
    measures: Measures = attrs.field(factory=Measures)
    memory: dict[str, object] = attrs.field(factory=dict)
    facts: Mapping[str, str] = attrs.field(factory=dict)
    budget: Budget = attrs.field(default=attrs.Factory(lambda self: self.visit.budget.anew(), takes_self=True))

    def envelope(self) -> Envelope:
        """The envelope as it stands; a recipient who was named twice is in it once."""
        if len(self.recipients) > 1:
            unique: dict[str, Recipient] = {}
            for recipient in self.recipients:
                unique.setdefault(address.key(recipient.address), recipient)
            recipients = tuple(unique.values())
        else:
            recipients = tuple(self.recipients)
        return Envelope(self.reverse_path, recipients, self.body, self.smtputf8, self.ret, self.envid, self.tls)
