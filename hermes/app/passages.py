"""The doors for administrators: the control socket, and the manhole and the metrics where they are wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.conch.ssh.keys import BadKeyError

from hermes.app.modules import Passage
from hermes.config.places import control_socket
from hermes.config.schema import Settings
from hermes.core.outcome import Verdict
from hermes.interfaces import IControl
from hermes.net.server_gate import metrics_refusal
from hermes.policy.access import Access
from hermes.services.control import ControlFactory
from hermes.services.manhole import make_factory


def passages(settings: Callable[[], Settings], control: IControl, reactor: Any) -> list[Passage]:
    """All of them, not yet bound; raise ValueError with a text for the administrator. ``settings`` are those of the moment."""
    return [*_of_administrators(settings(), control, reactor), *_of_metrics(settings, control, reactor)]


def _of_metrics(settings: Callable[[], Settings], control: IControl, reactor: Any) -> list[Passage]:
    places = settings().metrics.listen
    if not places:
        return []
    # Only here: few servers need the library.
    from hermes.services.metrics_server import MetricsFactory  # noqa: PLC0415

    factory = MetricsFactory(control, reactor, Admittance(settings).refusal)
    return [Passage("metrics", reactor, place, factory) for place in places]


class Admittance:
    """Connection control for the metrics, by the settings of the moment."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._entries = settings().access
        self._access = Access(self._entries)

    def refusal(self, peer: str) -> Verdict | None:
        """Why a peer may not read them; None when it may."""
        entries = self._settings().access
        if entries is not self._entries:
            self._entries, self._access = entries, Access(entries)
        return metrics_refusal(self._access.entry(peer, "metrics"), peer)


def _of_administrators(settings: Settings, control: IControl, reactor: Any) -> list[Passage]:
    place = f"unix:{control_socket(settings)}"
    # Only another server of the same data directory listens there.
    running = (
        f"a server of this site is running already, at {place}: `hermes status -c {settings.file}` tells of it, "
        f"`hermes stop -c {settings.file}` ends it"
    )
    made = [Passage("control", reactor, place, ControlFactory(control, reactor), running)]
    manhole = settings.manhole
    if manhole.listen:
        try:
            shell = make_factory(control, manhole.authorized_keys, manhole.host_key)
        except (OSError, ValueError, BadKeyError) as error:
            why = error.strerror if isinstance(error, OSError) else "this is not a private key without a passphrase"
            raise ValueError(f"[manhole] host_key: {manhole.host_key}: {why}") from error
        made += [Passage("manhole", reactor, place, shell) for place in manhole.listen]
    return made
