"""The words of reports as the settings have them: templates from files, and what is built in for the rest (``[reports]``)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial

import attrs

from hermes.config.errors import ConfigError, Problem
from hermes.config.schema import Settings
from hermes.core.report_wording import ENGLISH, Text, Wording, parse_phrases, parse_template

#: The largest template; a report is a letter to a person.
MAX_OCTETS = 64 * 1024

#: The file of the phrases.
PHRASES = "phrases"


def wording_of(settings: Settings) -> Wording:
    """The words of reports; ConfigError names file, line and remedy of what cannot be used, for all of one file."""
    reports = settings.reports
    english = attrs.evolve(ENGLISH, language=reports.language, charset=reports.charset.lower())
    if not reports.templates:
        return english
    texts = _texts(reports.templates)
    templates, phrases = dict(english.templates), dict(english.phrases)
    for name, text in texts.items():
        path = os.path.join(reports.templates, f"{name}.txt")
        problems: list[Problem] = []
        fault = partial(_fault, problems)
        if name == PHRASES:
            phrases.update(parse_phrases(text, fault))
        else:
            templates[Text(name)] = parse_template(Text(name), text, fault)
        if problems:
            raise ConfigError(path, problems)
    return attrs.evolve(english, templates=templates, phrases=phrases)


def count_templates(directory: str) -> int:
    """How many files of a directory of templates are used; raises ConfigError."""
    return len(_texts(directory))


def _fault(problems: list[Problem], line: int, text: str) -> None:
    problems.append(Problem(text, line))


def _texts(directory: str) -> Mapping[str, str]:
    """The texts of the files that are there, by their names."""
    try:
        there = set(os.listdir(directory))
    except OSError as error:
        problem = Problem(f"the templates cannot be read: {error.strerror}", 0, "reports", "templates")
        raise ConfigError(directory, [problem]) from error
    names = [*(kind.value for kind in Text), PHRASES]
    wanted = [name for name in names if f"{name}.txt" in there]
    if not wanted:
        text = f"there is no template here: write one of {', '.join(f'{name}.txt' for name in names)}"
        raise ConfigError(directory, [Problem(text, 0, "reports", "templates")])
    return {name: _text(os.path.join(directory, f"{name}.txt")) for name in wanted}


def _text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            octets = file.read(MAX_OCTETS + 1)
    except OSError as error:
        raise ConfigError(path, [Problem(f"it cannot be read: {error.strerror}")]) from error
    if len(octets) > MAX_OCTETS:
        raise ConfigError(path, [Problem(f"it has more than {MAX_OCTETS} octets")])
    octets = octets.replace(b"\r\n", b"\n")
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise ConfigError(path, [Problem("this is not UTF-8: save the file in that encoding", line)]) from error
    for number, line_text in enumerate(text.split("\n"), 1):
        if not line_text.replace("\t", "").isprintable():
            raise ConfigError(path, [Problem("there is a character that cannot be shown", number)])
    return text
