"""What is paused, as it is on disk: also when the server is down."""

from __future__ import annotations

from hermes.cli.output import Refused
from hermes.config.places import pauses_file
from hermes.config.schema import Settings
from hermes.queue.pauses import read_pauses


def paused(settings: Settings) -> dict[str, float]:
    """What is paused, and since when."""
    path = pauses_file(settings)
    try:
        with open(path, "rb") as file:
            return read_pauses(file.read())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise Refused(f"{path}: {error}; when nothing is to be paused, remove it") from None
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from None
