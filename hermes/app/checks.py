"""
The checks of the SMTP server, in the order in which they are asked: from those that cost nothing to those that ask others.

Mercury's order is kept where it had one: transaction filters judge a command before lists of the DNS are asked about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from hermes.app.file_checks import Edited, file_checks
from hermes.config.listener import parse_listener
from hermes.config.schema import Settings
from hermes.interfaces import ICheck, IContentReader, IResolver
from hermes.policy.dnsbl import DNSListCheck
from hermes.policy.dnsbl_record import Records
from hermes.policy.greylist import Greylist, GreylistCheck
from hermes.policy.score import ScoreCheck
from hermes.policy.sender_checks import SenderChecks


@attrs.frozen
class Means:
    """
    What checks need of a living server, and what outlives a reload.

    ``lists`` are the counters of the lists in the DNS; ``contents`` reads messages; ``report`` puts a client on the list of
    offenders; ``greylist`` knows who has been here.
    """

    resolver: IResolver
    lists: Records
    contents: IContentReader
    report: Callable[[str, str, str], object] | None = None
    greylist: Greylist | None = None


def checks(settings: Settings, edited: Edited, means: Means | None = None) -> list[ICheck]:
    """
    Those that the settings ask for; without ``means`` only those that go by the settings, and files beside them, alone.

    ``edited`` follows the files. ConfigError tells what is wrong with a file.
    """
    report = means.report if means is not None else None
    contents = means.contents if means is not None else None
    by_settings = file_checks(settings, edited, report, contents)
    return [*by_settings, *_asking(settings, means)] if means is not None else [*by_settings]


def _asking(settings: Settings, means: Means) -> Iterator[ICheck]:
    """The checks that ask the DNS."""
    if any(one.enabled for one in settings.dnsbl.values()):
        yield DNSListCheck(settings.dnsbl, means.resolver, means.lists, means.report)
    hermes, tests = settings.hermes, settings.sender_checks
    check = SenderChecks(tests, means.resolver, hermes.hostname, hermes.domains, own_addresses(settings))
    if check.tests:
        yield check
    yield ScoreCheck(tests.refuse_above)
    if settings.greylist.enabled and means.greylist is not None:
        yield GreylistCheck(settings.greylist, means.greylist)


def own_addresses(settings: Settings) -> set[str]:
    """The addresses that this server is known to listen at: mail for them is for us, or in a loop."""
    listeners = [parse_listener(text) for text in settings.smtp.listen]
    return {listener.host for listener in listeners if listener.kind == "tcp" and listener.host != "*"}
