"""``[filters]`` and ``[filter:NAME]``: what clients may not say. ``[compliance]``: what a message must be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import attrs

from hermes.config.bounded_regex import compile_regex
from hermes.config.finding import Finding
from hermes.config.setting import setting
from hermes.core.mercury_expression import compiled
from hermes.core.transaction_filter import REFUSING, Action, Filter, Pass, parse_reply

if TYPE_CHECKING:
    from hermes.config.schema import Settings


@attrs.frozen
class FiltersSettings:
    """Transaction filters: what is done about what SMTP clients say. "hermes filter test" says what they would do."""

    file: str = setting(
        "path",
        "",
        "File of filters, one a line, as Mercury's transflt.mer has them. An edit is in force within a second. Empty: none.",
    )


@attrs.frozen
class FilterSettings:
    """
    One transaction filter. Those of the file come first, then the sections in their order.

    A filter sees the whole command line (EHLO 192.0.2.7), or the line Subject. Addresses whose access entry says unfiltered are
    spared.
    """

    stage: str = setting(
        "choice",
        "hello",
        "When it is looked at: hello (HELO, EHLO); deferred (the same, but the action waits for MAIL, and a login cancels it); "
        "sender (MAIL); recipient (RCPT); subject.",
        choices=tuple(each.name.lower() for each in Pass),
    )
    pattern: str = setting("text", "", "What it looks for.")
    syntax: str = setting(
        "choice",
        "mercury",
        "mercury: must match the whole line, in any case of letters; * any run, ? one character, [abc] a set, + more of "
        "the last. regex: is found anywhere, and case counts unless it begins with (?i); RE2's syntax, which is Perl's without "
        "back references and looking around (needs the Python package google-re2).",
        choices=("mercury", "regex"),
    )
    negate: bool = setting("flag", False, "Whether it triggers where the pattern does not match.")
    action: str = setting(
        "choice",
        "fail",
        "refuse (and then permit nothing but QUIT), fail (this command alone), close (refuse and disconnect), drop (disconnect "
        "without a word), log, leave (no further filters at this stage), stop (none at all for the session or message).",
        choices=tuple(each.name.lower() for each in Action),
    )
    block: bool = setting("flag", False, "Whether the client's address goes on the list of offenders.")
    text: str = setting("text", "", "The reply, with its code, like 554 5.7.1 Not from you; for log, what is logged.")


def filters_of(settings: Settings) -> list[Filter]:
    """The filters of the sections; raise ValueError where a rule of :func:`filters_findings` is broken."""
    return [_filter(f"{settings.file} [filter:{name}]", one) for name, one in settings.filter.items()]


def filters_findings(settings: Settings) -> Iterator[Finding]:
    """All rules about ``[filter:NAME]`` that are broken."""
    for name, one in settings.filter.items():
        section = f"filter:{name}"
        if not one.pattern:
            yield Finding(((section, "pattern"),), "is missing: write what is looked for, like *192.0.2.1*")
        else:
            try:
                _matches(one)
            except ValueError as error:
                yield Finding(((section, "pattern"), (section, "syntax")), str(error))
        if Action[one.action.upper()] in REFUSING:
            try:
                parse_reply(one.text)
            except ValueError as error:
                yield Finding(((section, "text"), (section, "action")), str(error))


def _filter(place: str, one: FilterSettings) -> Filter:
    action = Action[one.action.upper()]
    return Filter(
        stage=Pass[one.stage.upper()],
        expression=one.pattern,
        matches=_matches(one),
        action=action,
        block=one.block,
        negate=one.negate,
        reply=parse_reply(one.text) if action in REFUSING else None,
        text=one.text if action is Action.LOG else "",
        place=place,
        syntax=one.syntax,
        needs=compiled(one.pattern).needs if one.syntax == "mercury" else "",
    )


def _matches(one: FilterSettings) -> Callable[[str], bool]:
    return compile_regex(one.pattern) if one.syntax == "regex" else compiled(one.pattern).matches
