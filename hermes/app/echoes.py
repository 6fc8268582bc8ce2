"""
What several workers count together: each tells the others what it has counted, and they count it too.

The parent passes it on, which takes a millisecond or two: so much later a limit may be noticed, and no more than what is under
way at that moment can go beyond it. A worker that is born later knows what is on disk, and begins anew with the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from typing_extensions import override

from hermes.config.schema import LimitsSettings
from hermes.config.sections.greylist import GreylistSettings
from hermes.core.rate import Rate
from hermes.net.login_limits import LoginLimits
from hermes.policy.greylist import Greylist
from hermes.policy.greylist_store import GreylistStore
from hermes.policy.rates import Rates
from hermes.queue.answering import AnsweredLately
from hermes.services.login_times import LoginTimes

#: Hands something to the other workers: what it is about, and what was done with which values.
Tell = Callable[[str, tuple[Any, ...]], None]


class SharedLogins(LoginLimits):
    """Wrong passwords at all workers."""

    def __init__(self, settings: LimitsSettings, seconds: Callable[[], float], tell: Tell) -> None:
        super().__init__(settings, seconds)
        self._tell = tell

    @override
    def failed(self, peer: str, name: str) -> tuple[float, bool]:
        self._tell("login failed", (peer, name))
        return super().failed(peer, name)

    @override
    def succeeded(self, peer: str, *names: str) -> None:
        self._tell("login succeeded", (peer, *names))
        super().succeeded(peer, *names)

    def hear_failed(self, peer: str, name: str) -> None:
        """Another worker has had a wrong password."""
        super().failed(peer, name)

    def hear_succeeded(self, peer: str, *names: str) -> None:
        """Somebody has logged in at another worker."""
        super().succeeded(peer, *names)


class SharedRates(Rates):
    """How much mail all workers have had from whom."""

    def __init__(self, now: Callable[[], float], tell: Tell) -> None:
        super().__init__(now)
        self._tell = tell

    @override
    def count(self, scope: str, subject: str, kind: str, amount: int, limits: Sequence[Rate]) -> None:
        self._tell("mail", (scope, subject, kind, amount, tuple(limits)))
        super().count(scope, subject, kind, amount, limits)

    def hear(self, scope: str, subject: str, kind: str, amount: int, limits: Sequence[Rate]) -> None:
        """Another worker has had mail."""
        super().count(scope, subject, kind, amount, limits)


class SharedGreylist(Greylist):
    """Who has tried at any worker: each goes through the same steps, and so comes to the same result."""

    def __init__(self, store: GreylistStore, now: Callable[[], float], tell: Tell) -> None:
        super().__init__(store, now)
        self._tell = tell

    @override
    def wait(self, network: str, sender: str, settings: GreylistSettings) -> float:
        self._tell("greylist", (network, sender, settings))
        return super().wait(network, sender, settings)

    def hear(self, network: str, sender: str, settings: GreylistSettings) -> None:
        """Somebody has tried at another worker; where it is switched off, by a reload that is under way, that is nothing."""
        if self.is_open:
            super().wait(network, sender, settings)


class SharedAnswers(AnsweredLately):
    """Who has been answered by any worker."""

    def __init__(self, tell: Tell) -> None:
        super().__init__()
        self._tell = tell

    @override
    def why_not(self, address: str, sender: str, now: float, *, logged_in: bool) -> str:
        self._tell("answered", (address, sender, now, logged_in))
        return super().why_not(address, sender, now, logged_in=logged_in)

    def hear(self, address: str, sender: str, now: float, logged_in: bool) -> None:
        """Another worker has been asked, and has answered if nothing was against it."""
        super().why_not(address, sender, now, logged_in=logged_in)


class SharedLoginTimes(LoginTimes):
    """When accounts have logged in at any worker."""

    def __init__(self, tell: Tell) -> None:
        super().__init__()
        self._tell = tell

    @override
    def seconds_to_wait(self, account: str, now: float, delay_seconds: float) -> float:
        wait = super().seconds_to_wait(account, now, delay_seconds)
        if delay_seconds and not wait:
            self._tell("logged in", (account, now, delay_seconds))
        return wait

    def hear(self, account: str, now: float, delay_seconds: float) -> None:
        """Somebody has logged in at another worker."""
        super().seconds_to_wait(account, now, delay_seconds)


class Echoes:
    """What is done here when another worker tells something, by what it is about."""

    def __init__(self) -> None:
        self._by_name: dict[str, Callable[..., object]] = {}

    def expect(self, about: str, hear: Callable[..., object]) -> None:
        """Have that called with the values."""
        self._by_name[about] = hear

    def hear(self, about: str, values: tuple[Any, ...]) -> None:
        """Another worker tells something."""
        self._by_name[about](*values)
