"""The section ``[greylist]``: a delay for those who have never sent mail here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs

from hermes.config.finding import Finding
from hermes.config.setting import setting

if TYPE_CHECKING:
    from hermes.config.schema import Settings


@attrs.frozen
class GreylistSettings:
    """
    A delay for strangers who write for the first time: they are told to try again later, which much spam never does.

    It delays honest mail as well, so it is off. Once a network has come again, everybody in it is known.
    """

    enabled: bool = setting("flag", False, "Whether unknown strangers are delayed.")
    delay: int = setting("time", 300, "How long they have to wait before they are let in.")
    window: int = setting("time", 2 * 86400, "How long after the first try they may come again.")
    remember: int = setting("time", 40 * 86400, "How long a network is known after its last mail.")
    spare_confirmed: bool = setting(
        "flag", False, "Whether those are let in at once whose name in reverse DNS leads back to them."
    )


def greylist_findings(settings: Settings) -> Iterator[Finding]:
    """All rules about ``[greylist]`` that are broken."""
    greylist = settings.greylist
    if greylist.window <= greylist.delay:
        about = (("greylist", "window"), ("greylist", "delay"))
        yield Finding(about, "who comes again in time would be too late already: write more than delay")
    if greylist.spare_confirmed and greylist.enabled:
        checks = settings.sender_checks
        if checks.no_reverse_name == "off" and checks.unconfirmed_reverse_name == "off":
            about = (("greylist", "spare_confirmed"), ("sender_checks", "unconfirmed_reverse_name"))
            yield Finding(about, "reverse DNS is not tested: write note in [sender_checks]")
