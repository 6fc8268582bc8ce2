"""
Mercury's ``transflt.mer``: one transaction filter a line.

    <pass>, "<expression>", <action>[S|-][N], ["<response>"]

The passes and actions are those of :mod:`hermes.core.transaction_filter`, by their letters; ``S`` behind the action blocks the
client's address, ``N`` triggers when the expression does not match. ``#`` begins a comment line. The comma behind the
expression may be missing, as it is in Mercury's own examples.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import attrs

from hermes.core.mercury_expression import ExpressionError, compiled
from hermes.core.transaction_filter import REFUSING, Action, Filter, Pass, parse_reply
from hermes.policy.edited_file import Lines

#: Each of them is matched with what every client says. Those who wrote them by hand have some dozens.
MAX_FILTERS = 1000

#: Twice the longest expression: what is longer is no line of this file.
MAX_LINE = 2000

_PASSES = "".join(each.value for each in Pass)
_ACTIONS = "".join(each.value for each in Action)

_LINE = re.compile(
    r"""
    (?P<stage> \w* ) \s* ,? \s*
    (?: " (?P<expression> [^"]* ) " )? \s* ,? \s*
    (?P<action> [\w-]* ) \s* ,? \s*
    (?: " (?P<response> .* ) " )? \s* ,? \s*
    (?P<more> .* )
    \Z""",
    re.VERBOSE,
)
_ACTION = re.compile(rf"(?P<action>[{_ACTIONS}])(?P<block>[S-]?)(?P<negate>N?)\Z")


def parse_filters(lines: Lines) -> list[Filter]:
    """The filters of a file, in their order."""
    filters: list[Filter] = []
    for number, text in lines:
        try:
            filters.append(attrs.evolve(parse_line(text), place=f"{lines.path}:{number}"))
        except ValueError as error:
            lines.wrong(number, str(error))
        if len(filters) > MAX_FILTERS:
            lines.wrong(number, f"this is more than {MAX_FILTERS} filters: join some of them by * and [...]")
            break
    return filters


def parse_line(text: str) -> Filter:
    """One filter; ValueError says what is wrong with it and what to write."""
    if len(text) > MAX_LINE:
        raise ValueError(f"has {len(text)} characters: write {MAX_LINE} at most")
    found = _LINE.match(text)
    assert found is not None  # every part of it may be missing
    stage = found["stage"].upper()
    if len(stage) != 1 or stage not in _PASSES:
        raise ValueError(f"begins with none of the letters {', '.join(_PASSES)}: write one, like H for HELO")
    if found["expression"] is None:
        raise ValueError('has no expression: write it in quotes behind the letter, like H, "*192.0.2.1*", R')
    action = _ACTION.match(found["action"].upper())
    if action is None:
        raise ValueError(
            f"has no action: behind the expression write one of {', '.join(_ACTIONS)}, then S or - or nothing, then N or nothing"
        )
    if found["more"]:
        raise ValueError(f"has {found['more']!r} at its end: write the response in quotes, and nothing behind it")
    try:
        expression = compiled(found["expression"])
    except ExpressionError as error:
        raise ValueError(f"the expression cannot be understood, {error}") from None
    what, response = Action(action["action"]), found["response"] or ""
    return Filter(
        stage=Pass(stage),
        expression=found["expression"],
        matches=expression.matches,
        action=what,
        block=action["block"] == "S",
        negate=bool(action["negate"]),
        reply=parse_reply(response) if what in REFUSING else None,
        text=response if what is Action.LOG else "",
        needs=expression.needs,
    )


def section_of(one: Filter, name: str) -> Sequence[str]:
    """The lines of the section of ``config.ini`` that says the same."""
    lines = [
        f"[filter:{name}]",
        f"stage = {one.stage.name.lower()}",
        f"pattern = {_pattern(one.expression)}",
        f"action = {one.action.name.lower()}",
    ]
    if one.negate:
        lines.append("negate = yes")
    if one.block:
        lines.append("block = yes")
    if one.reply is not None and one.action is not Action.DROP:
        lines.append(f"text = {one.reply}")
    elif one.text:
        lines.append(f"text = {one.text}")
    return lines


def _pattern(expression: str) -> str:
    """The same expression where space around a value does not count, and an empty value is none."""
    if not expression.strip():
        return "".join("[ ]" for _ in expression) or "/w"
    inner = expression.strip()
    before, behind = expression.split(inner, 1)
    return "[ ]" * len(before) + inner + "[ ]" * len(behind)
