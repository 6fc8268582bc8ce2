"""
The checks of the SMTP server that count.

What they have counted outlives a reload, and ``hermes explain`` knows nothing of it: it depends on the moment.
"""

from __future__ import annotations

from hermes.app.stores import Stores
from hermes.config.schema import Settings
from hermes.interfaces import ICheck
from hermes.policy.misconduct import Misconduct
from hermes.policy.rates import RateLimits


def standing_checks(settings: Settings, stores: Stores) -> list[ICheck]:
    """They come before all others: they ask nobody, and cost microseconds."""
    return [Misconduct(settings.smtp, stores.offenders), RateLimits(settings.rates, stores.rates)]
