"""
Sessions that go wrong too often: they are slowed down first, then ended, and the peer is listed where that is configured.

Counted are refused commands of any kind, recipients that do not exist here (a dictionary of names, tried one after the other),
and attempts to send through this server to others. Who is never listed is not slowed down either; and clients of ours, who have
logged in or may relay, may name unknown recipients: they err as people do.

RFC 5321 7.8 lets a server close connections of those who attack it.
"""

from __future__ import annotations

from zope.interface import implementer

from hermes.config.schema import SMTPSettings
from hermes.core.outcome import PASS, Then, Verdict
from hermes.core.policy import Case, Stage
from hermes.core.reply import Reply
from hermes.interfaces import ICheck, IOffenders

#: Refusals that cost nothing but themselves: a client that tries what another server would have taken, a slip of a finger.
FREE_ERRORS = 5

#: Unknown recipients that cost nothing: people leave, and those who write to them do not know.
FREE_UNKNOWN = 5

#: Delays double; beyond this they are at their most anyhow, and the power must stay small.
_MAX_DOUBLINGS = 20

_UNKNOWN = frozenset({"relay.unknown_user", "relay.disabled"})
_RELAYING = frozenset({"relay.denied"})

# 421: a server with an old list to deliver has heard about each of these, and tries the rest in another session.
_TOO_MANY_UNKNOWN = Reply.of(421, "4.7.0", "Too many recipients that do not exist here: goodbye")
# 554: to come again would change nothing.
_TOO_MUCH_RELAYING = Reply.of(554, "5.7.1", "Too many attempts to relay: goodbye")


@implementer(ICheck)
class Misconduct:
    """``offenders`` says who is exempt, and takes reports."""

    name = "misconduct"
    stages = frozenset({Stage.REFUSED})
    momentary = True

    def __init__(self, settings: SMTPSettings, offenders: IOffenders) -> None:
        self._settings = settings
        self._offenders = offenders

    def judge(self, case: Case) -> Verdict:
        """Count a refusal; the same with a delay, or the last word, when there have been many."""
        peer, refused, settings = case.visit.peer, case.verdict, self._settings
        if refused.reply is None or self._offenders.exempt(peer):
            return PASS
        seconds = self._seconds(case.visit.errors, FREE_ERRORS)
        if case.visit.errors >= settings.max_errors:
            # The session says its own last words.
            self._offenders.offended(peer, "errors", f"{settings.max_errors} refused commands in one session")
        if not case.visit.trusted and refused.rule in _UNKNOWN:
            count, most = case.visit.count("misconduct.unknown"), settings.max_unknown_recipients
            seconds = max(seconds, self._seconds(count, FREE_UNKNOWN))
            if count >= most:
                reason = f"{most} recipients in one session that do not exist here"
                self._offenders.offended(peer, "recipients", reason)
                return Verdict(_TOO_MANY_UNKNOWN, "smtp.max_unknown_recipients", reason, Then.CLOSE, seconds)
        if not case.visit.trusted and refused.rule in _RELAYING:
            count, most = case.visit.count("misconduct.relaying"), settings.max_relay_attempts
            seconds = max(seconds, self._seconds(count, 0))
            if count >= most:
                reason = f"{most} attempts to relay in one session"
                self._offenders.offended(peer, "relaying", reason)
                return Verdict(_TOO_MUCH_RELAYING, "smtp.max_relay_attempts", reason, Then.CLOSE, seconds)
        if seconds <= refused.delay_seconds:
            return PASS
        return Verdict(refused.reply, refused.rule, refused.reason, refused.then, seconds, refused.place)

    def _seconds(self, count: int, free: int) -> float:
        """How long the answer waits: a second after the free ones, then twice as long each time, up to the most."""
        if count <= free:
            return 0.0
        return float(min(2 ** min(count - free - 1, _MAX_DOUBLINGS), self._settings.error_delay))
