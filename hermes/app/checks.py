"""
The checks of the SMTP server, in the order in which they are asked: from those that cost nothing to those that ask others.

Mercury's order is kept where it had one: transaction filters judge a command before lists of the DNS are asked about it.
"""

from __future__ import annotations

from hermes.config.schema import Settings
from hermes.interfaces import ICheck


def checks(settings: Settings) -> list[ICheck]:
    """Those that the settings ask for."""
    return []
