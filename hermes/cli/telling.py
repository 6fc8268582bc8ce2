"""Telling of a password that an administrator has set: the server, while one runs, else the trace."""

from __future__ import annotations

import os
import time

from hermes.app.passwords_told import CHANGED
from hermes.cli.control_client import NotRunning, ask
from hermes.cli.output import Refused, remark
from hermes.config.places import spool_directory
from hermes.config.schema import Settings
from hermes.core.event import Event, Kind
from hermes.spool.database import DATABASE
from hermes.spool.errors import SpoolError
from hermes.spool.recording import record


def tell_password(settings: Settings, name: str) -> None:
    """Have the change in the trace, and the sessions of the account ended; what cannot be is remarked."""
    try:
        ask(settings, "password.changed", {"account": name})
    except NotRunning:
        directory = spool_directory(settings)
        # A server makes its spool, with its own rights.
        if os.path.exists(os.path.join(directory, DATABASE)):
            try:
                record(directory, [Event(time.time(), Kind.PASSWORD, address=name, facts=CHANGED)])
            except SpoolError as error:
                remark(f"'hermes track' will not know of it: {error}")
    except Refused as refused:
        remark(f"The server has not been told, and sessions go on: {refused.format_message()}")
