"""What a process needs to begin and to end: its directory, and a reactor that stops."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from twisted.internet.error import ReactorNotRunning
from twisted.python.failure import Failure

from hermes.config.schema import Settings


def halt(reactor: Any) -> None:
    """Stop the reactor, unless that has been done."""
    with contextlib.suppress(ReactorNotRunning):
        reactor.stop()


def why_not(failure: Failure) -> str:
    """Why a start has failed, for the administrator: without the number that the system has for an error of a file."""
    error = failure.value
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return failure.getErrorMessage()


def make_data_directory(settings: Settings) -> None:
    """Make the data directory when it is missing; raise ValueError with a text for the administrator."""
    try:
        os.makedirs(settings.hermes.data, mode=0o700, exist_ok=True)
    except OSError as error:
        raise ValueError(f"[hermes] data: {settings.hermes.data}: {error.strerror}") from error
