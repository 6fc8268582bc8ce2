"""The section of the figures for monitoring."""

from __future__ import annotations

import attrs

from hermes.config.setting import setting


@attrs.frozen
class MetricsSettings:
    """
    Figures for Prometheus, over HTTP at /metrics. Off unless it listens; ``hermes metrics`` prints the same without it.

    This machine may read them, and whoever is in an entry of ``[access:NAME]`` that allows; nobody else.
    """

    listen: tuple[str, ...] = setting(
        "listeners", (), "Where they are offered, usually 127.0.0.1:9025. Empty: nowhere.", fixed=True
    )
