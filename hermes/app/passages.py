"""The doors for administrators: the control socket, and the manhole where it is wanted."""

from __future__ import annotations

from typing import Any

from twisted.conch.ssh.keys import BadKeyError

from hermes.app.modules import Passage
from hermes.config.places import control_socket
from hermes.config.schema import Settings
from hermes.interfaces import IControl
from hermes.services.control import ControlFactory
from hermes.services.manhole import make_factory


def passages(settings: Settings, control: IControl, reactor: Any) -> list[Passage]:
    """All of them, not yet bound; raise ValueError with a text for the administrator."""
    made = [Passage("control", reactor, f"unix:{control_socket(settings)}", ControlFactory(control, reactor))]
    manhole = settings.manhole
    if manhole.listen:
        try:
            shell = make_factory(control, manhole.authorized_keys, manhole.host_key)
        except (OSError, ValueError, BadKeyError) as error:
            why = error.strerror if isinstance(error, OSError) else "this is not a private key without a passphrase"
            raise ValueError(f"[manhole] host_key: {manhole.host_key}: {why}") from error
        made += [Passage("manhole", reactor, place, shell) for place in manhole.listen]
    return made
