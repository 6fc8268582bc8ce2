"""What only the DNS, or the moment, could still refuse: ``hermes explain`` says so where it has not asked."""

from __future__ import annotations

import attrs

from hermes.config.schema import Settings

#: A limit of points that is never reached (``[sender_checks] refuse_above``).
_NEVER = 1000


def unasked(settings: Settings, *, dns: bool) -> str:
    """Which checks may refuse a stranger beside those that were asked; empty when there are none. ``dns``: it was asked."""
    could = []
    if not dns:
        tests = settings.sender_checks
        could += [
            f"dnsbl.{name}"
            for name, one in settings.dnsbl.items()
            if one.enabled and one.kind != "whitelist" and one.action in ("reject", "drop")
        ]
        could += [f"sender_checks.{name}" for name, value in attrs.asdict(tests).items() if value == "refuse"]
        could += ["score"] if tests.refuse_above < _NEVER else []
    remedy = "; --dns asks" if could else ""
    if settings.greylist.enabled:
        could.append("greylist")
    return f"not asked, and may refuse it: {', '.join(could)}{remedy}" if could else ""
