"""``hermes filter``: what transaction filters would do with a line, and Mercury's file as sections of ``config.ini``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import attrs
import click

from hermes.cli.output import EXIT_REFUSED, json_option, remark, say, say_json
from hermes.config.loader import load
from hermes.config.sections.filters import filters_of
from hermes.core.transaction_filter import REFUSING, Action, Filter, Pass
from hermes.policy.edited_file import read_lines
from hermes.policy.filter_file import parse_filters, section_of
from hermes.policy.filters import subject_texts

#: Which passes look at a line that begins so.
_PASSES = {
    "HELO": (Pass.HELLO, Pass.DEFERRED),
    "EHLO": (Pass.HELLO, Pass.DEFERRED),
    "MAIL": (Pass.SENDER,),
    "RCPT": (Pass.RECIPIENT,),
    "SUBJECT:": (Pass.SUBJECT,),
}

_DOES = {
    Action.REFUSE: "is refused, and may only QUIT from then on",
    Action.FAIL: "is refused",
    Action.CLOSE: "is refused, and the connection closed",
    Action.DROP: "hears nothing: the connection is closed",
    Action.LOG: "is logged, and the next filters are looked at",
    Action.LEAVE: "passes this stage: no further filter is looked at",
    Action.STOP: "passes, and so does what follows: no further filter is looked at",
}


@attrs.frozen
class Act:
    """What one pass does with a line: ``place`` and what follows are empty when no filter acts."""

    line: str
    stage: str
    action: str = ""
    place: str = ""
    pattern: str = ""
    negate: bool = False
    block: bool = False
    reply: str = ""
    log: str = ""


@click.group("filter")
def filter_() -> None:
    """Try transaction filters, and bring them from Mercury."""


@filter_.command()
@json_option
@click.argument("file", metavar="FILE")
@click.argument("lines", metavar="LINE...", nargs=-1, required=True)
def test(file: str, lines: Sequence[str], as_json: bool) -> None:
    """
    Say what filters would do with what a client says.

    The filters are those of FILE: one like Mercury's transflt.mer, or a config.ini, of which those in force are taken. A LINE is
    a command as the client writes it (EHLO, HELO, MAIL or RCPT with what follows), or "Subject: ..." with the text of a message's
    field. Each stage that looks at it has a line of the answer, and each filter before that only logs. Exit code 1: something
    would be refused.
    """
    filters = _read(file)
    acts = [act for line in lines for act in _acts(filters, line)]
    if as_json:
        say_json([attrs.asdict(act) for act in acts])
    else:
        for act in acts:
            _say(act)
    if any(act.action and Action[act.action.upper()] in REFUSING for act in acts):
        sys.exit(EXIT_REFUSED)


@filter_.command()
@click.argument("file", metavar="FILE")
def convert(file: str) -> None:
    """
    Print Mercury's file as sections for config.ini.

    They do the same there. Then take the file out of [filters], or each would be looked at twice.
    """
    for number, one in enumerate(read_lines(file, parse_filters), 1):
        if number > 1:
            say("")
        for line in section_of(one, f"line-{one.place.rpartition(':')[2]}"):
            say(line)
    remark(f"{file}: put these sections into config.ini, and take the file out of [filters].")


def _read(file: str) -> list[Filter]:
    if not file.endswith(".ini"):
        return read_lines(file, parse_filters)
    settings = load(file)
    own = filters_of(settings)
    return [*read_lines(settings.filters.file, parse_filters), *own] if settings.filters.file else own


def _acts(filters: Sequence[Filter], line: str) -> Iterator[Act]:
    word, _, rest = line.partition(" ")
    if word.upper().startswith("SUBJECT:"):
        word, rest = word[:8], line[8:]
    passes = _PASSES.get(word.upper())
    if passes is None:
        raise click.UsageError(
            f"{line!r} is nothing that filters look at: write EHLO, HELO, MAIL, RCPT or Subject: first."
        )
    texts = subject_texts(rest.strip()) if passes == (Pass.SUBJECT,) else (line,)
    for stage in passes:
        decided = False
        for one in filters:
            if one.stage is stage and one.triggers(*texts):
                yield _act(line, one)
                decided = one.action is not Action.LOG
                if decided:
                    break
        if not decided:
            yield Act(line, stage.name.lower())


def _act(line: str, one: Filter) -> Act:
    return Act(
        line,
        one.stage.name.lower(),
        one.action.name.lower(),
        one.place,
        one.expression,
        one.negate,
        one.block,
        str(one.reply) if one.reply is not None and one.action is not Action.DROP else "",
        one.text,
    )


def _say(act: Act) -> None:
    if not act.action:
        say(f"{act.stage}: {act.line}: no filter decides, it passes")
        return
    does = _DOES[Action[act.action.upper()]]
    if act.stage == Pass.DEFERRED.name.lower():
        does += ", when MAIL comes without a login"
    say(f"{act.stage}: {act.line}: {does}{': ' + said if (said := act.reply or act.log) else ''}")
    say(f"    by  {act.place}: {'anything but ' if act.negate else ''}{act.pattern}")
    if act.block:
        say("    and its address goes on the list of offenders")
