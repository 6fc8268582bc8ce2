"""
What a report to a sender says, as values (RFC 3464): a delivery status notification before it is put into words.

:mod:`hermes.core.report_text` writes the part for people, :mod:`hermes.core.report_fields` the part for programs, and
:mod:`hermes.core.report_message` puts the whole message together.
"""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from email.utils import format_datetime

import attrs

from hermes.core.envelope import BodyType, Envelope, Origin
from hermes.core.outcome import Outcome
from hermes.core.report_wording import ENGLISH, Wording


class Action(enum.Enum):
    """What was done with a message for a recipient (RFC 3464 2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


@attrs.frozen
class Fate:
    """
    What became of one recipient.

    ``address`` is the one in the envelope when the message was accepted, ``original`` its ORCPT as ``type;address``
    (RFC 3461 4.2); ``expired`` says that it failed because it had been tried for long enough.
    """

    address: str
    original: str | None
    action: Action
    outcome: Outcome
    expired: bool = False


@attrs.frozen
class Whole:
    """What is known of an original that is lines of mail and larger than what is kept in memory."""

    digest: bytes
    ascii: bool


# A report holds either failures, or delays, or successes of any kind.
_KINDS = (Action.FAILED, Action.DELAYED, Action.DELIVERED)


@attrs.frozen
class Report:
    """
    One report: all its ``fates`` have the same kind (failed; delayed; or delivered, relayed and expanded).

    ``to`` is whom it goes to: the sender, or the postmaster (then ``for_postmaster``). ``returned`` holds the beginning of
    the original message with LF line ends, and ``complete`` says that this is all of it and may go back; ``whole`` is known of
    one that is larger and may go back. ``retry_until`` is set for delays; ``origin`` says where the message came from.
    Times are seconds since the epoch.
    """

    hostname: str
    postmaster: str
    to: str
    for_postmaster: bool
    report_id: str
    written_at: float
    queue_id: str
    accepted_at: float
    attempted_at: float
    envelope: Envelope
    message_id: str
    fates: tuple[Fate, ...]
    returned: bytes
    complete: bool
    binary: bool = False
    whole: Whole | None = None
    retry_until: float | None = None
    origin: Origin | None = None
    wording: Wording = ENGLISH

    @property
    def kind(self) -> Action:
        """FAILED, DELAYED, DELIVERED where that is true of one recipient at least, else RELAYED."""
        actions = {fate.action for fate in self.fates}
        return next((each for each in _KINDS if each in actions), Action.RELAYED)

    @property
    def contact(self) -> str:
        """Whom people can ask; every server has a postmaster (RFC 5321 4.5.1)."""
        return self.postmaster or f"postmaster@{self.hostname}"


@attrs.frozen
class Letter:
    """
    The finished message: octets with LF line ends, and what its envelope must say about them.

    When there is a ``tail``, the octets of the original come between the two.
    """

    octets: bytes
    body: BodyType
    smtputf8: bool
    tail: bytes = b""


def date_time(at: float) -> str:
    """A time as RFC 5322 3.3 writes it, in UTC with a numeric zone (RFC 3464 2.2.5)."""
    return format_datetime(datetime.fromtimestamp(int(at), UTC))


#: Words of other servers that one report may hold in all, in characters: a thousand recipients with a long refusal each must
#: not make a report larger than the message.
MAX_WORDS = 64 * 1024


def words_for_each(report: Report) -> int:
    """How many characters of the other server's words each recipient may have."""
    return min(max(MAX_WORDS // len(report.fates), 128), 1024)
