"""
Whether a message that has come whole fits into the mailboxes that it is for.

At RCPT only what the client declared is known (RFC 1870 6.1), often nothing. A message that turns out not to fit is better
refused to the client than reported to a reverse-path that may be forged.
"""

from __future__ import annotations

from collections import Counter

from hermes.core.envelope import Envelope
from hermes.core.outcome import PASS, Verdict
from hermes.core.transaction import Transaction
from hermes.interfaces import IRelayPolicy


async def judge_room(
    transaction: Transaction, envelope: Envelope, octets: int, policy: IRelayPolicy
) -> dict[str, Verdict]:
    """
    A verdict for each address of the transaction whose mailbox has a quota.

    ``octets`` is what one copy takes in a mailbox. Where several addresses are one mailbox, each gets a copy, and all of them
    must fit, as when they are delivered.
    """
    copies = Counter(transaction.destinations[recipient.address] for recipient in envelope.recipients)
    mailboxes: dict[str, Verdict] = {}
    verdicts: dict[str, Verdict] = {}
    for address in transaction.limited:
        mailbox = transaction.destinations[address]
        if mailbox not in mailboxes:
            needed = octets * copies[mailbox]
            # No more than was declared: that has been judged.
            known = needed <= transaction.size_octets
            mailboxes[mailbox] = PASS if known else await policy.room(address, needed)
        verdicts[address] = mailboxes[mailbox]
    return verdicts
