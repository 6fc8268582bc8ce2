"""
The reference, generated from :mod:`hermes.config.schema`: ``etc/config.ini`` and ``docs/configuration.md``.

``python -m hermes.config.reference`` writes both in the working tree; a test sees that they are up to date.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

from hermes.config.catalog import DOCUMENTED, SECTIONS, Section, Setting
from hermes.config.durable import write_durably
from hermes.config.values import format_value

#: Where the two files stand below the top of the working tree.
INI_FILE = "etc/config.ini"
MARKDOWN_FILE = "docs/configuration.md"

_WIDTH = 100

#: What is said of settings that a server takes only when it starts.
_RESTART = "Needs a restart."

_INI_INTRODUCTION = (
    "Hermes: every setting, with its default. A line without # is in force.",
    "A comment needs a line of its own. An indented line goes on with the value above it.",
    "Sizes: 10240, 20K, 50M, 1G. Times: 30s, 5m, 1h 30m, 5d. Lists: commas.",
    "After a change: hermes check -c FILE, then hermes reload -c FILE. Where it says so, a restart instead.",
)

#: What each kind is called and how it is written, for the documentation and for ``hermes config explain``.
KINDS: Mapping[str, str] = {
    "text": "text",
    "number": "whole number",
    "size": "octets: `10240`, `20K`, `50M`, `1G`",
    "time": "`30s`, `5m`, `1h 30m`, `5d`",
    "flag": "`yes` or `no`",
    "choice": "one of the words named",
    "words": "a list with commas",
    "listeners": "a list of `127.0.0.1:25`, `[::1]:25`, `*:25` (every address), `unix:PATH`, `systemd:NAME`",
    "networks": "a list of addresses and ranges: `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`",
    "ranges": "a list of addresses and ranges: `192.0.2.7`, `192.0.2.0/24`, `192.0.2.10-192.0.2.20`, `2001:db8::/32`",
    "times": "a list of times: `5m, 10m, 1h`",
    "path": "a file or directory, relative to the data directory unless it begins with `/`; `~` has no meaning",
    "secret": "the secret itself (the file must have mode 0600), or `file:PATH`, relative to the data directory",
}

_MARKDOWN_INTRODUCTION = """\
# Configuration

Everything that Hermes does is set in one file, `config.ini`. This page is generated from the program
(`python -m hermes.config.reference`), as is [`etc/config.ini`](../etc/config.ini), which holds every setting with its default.

`hermes check -c FILE` tells all that is wrong with a file, and with what it points to. `hermes config show -c FILE` prints what
is in force and where each value comes from, `hermes config explain SECTION.KEY` what a setting means. `hermes config set`
changes one and keeps comments and order; the file as it was stays beside it as `config.ini~`. A running server takes a
changed file at `hermes reload` (or SIGHUP): all of it or, when anything is wrong, nothing. Settings that need a restart say so
below: with one of them changed, a reload is refused.

## How it is written

* `[section]`, then lines of `key = value`. Every key has a default, and every default is safe and works.
* A line that begins with `#` or `;` is a comment. There are no comments behind a value, since a password may hold any character.
* An indented line goes on with the value above it, which is handy for long lists.
* A section with `NAME` in it may stand there any number of times, each with a name of its own: small letters, digits, `-`
  and `_`. Its settings are called `access:office.action`, for example.
* An unknown section or key is an error, as is one that stands there twice.
* The file is UTF-8.
"""


def config_ini(active: Mapping[tuple[str, str], str], introduction: tuple[str, ...] = ()) -> str:
    """A commented ``config.ini``: every setting with its default in a comment, and ``active`` ones (texts) in force."""
    lines = [f"# {line}".rstrip() for line in introduction + _INI_INTRODUCTION]
    for section in DOCUMENTED.values():
        if section.name not in SECTIONS:
            lines += ["", "", *_example(section)]
            continue
        about = [f"# {line}".rstrip() for line in section.doc.split("\n")]
        lines += ["", "", *about, f"[{section.name}]"]
        for setting in section.settings.values():
            lines += ["", *_comment(setting), f"#{_assignment(setting.key, _default(setting))}"]
            if (section.name, setting.key) in active:
                lines.append(_assignment(setting.key, active[section.name, setting.key]))
    return "\n".join(lines) + "\n"


def markdown() -> str:
    """The page that documents every setting."""
    return "\n".join([_MARKDOWN_INTRODUCTION, *_kinds(), *_sections()]) + "\n"


def _example(section: Section) -> Iterator[str]:
    """A section that there may be any number of, and of which there is none by default: a form to be copied."""
    form = [f"[{section.name}]"]
    for setting in section.settings.values():
        form += ["", *_comment(setting), _assignment(setting.key, _default(setting))]
    for line in [*section.doc.split("\n"), "", *(f"    {line}".rstrip() for line in form)]:
        yield f"# {line}".rstrip()


def _comment(setting: Setting) -> Iterator[str]:
    text = setting.doc
    if setting.choices:
        text = f"{text} One of: {', '.join(setting.choices)}."
    if setting.fixed:
        text = f"{text} {_RESTART}"
    for line in textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False):
        yield f"# {line}"


def _assignment(key: str, text: str) -> str:
    return f"{key} = {text}".rstrip()


def _default(setting: Setting) -> str:
    return format_value(setting.kind, setting.default)


def _kinds() -> Iterator[str]:
    yield "| kind | how it is written |"
    yield "| --- | --- |"
    for kind, how in KINDS.items():
        yield f"| {kind} | {how} |"


def _sections() -> Iterator[str]:
    for section in DOCUMENTED.values():
        yield ""
        yield f"## `[{section.name}]`"
        yield ""
        yield section.doc
        yield ""
        yield "| key | kind | default | meaning |"
        yield "| --- | --- | --- | --- |"
        for setting in section.settings.values():
            kind = ", ".join(f"`{choice}`" for choice in setting.choices) or setting.kind
            default = f"`{text}`" if (text := _default(setting)) else "(empty)"
            meaning = f"{setting.doc} {_RESTART}" if setting.fixed else setting.doc
            yield f"| `{setting.key}` | {kind} | {default} | {meaning} |"


def main() -> int:
    """Write both files below the top of the working tree."""
    top = Path(__file__).resolve().parents[2]
    if not (top / "pyproject.toml").exists():
        sys.stderr.write("This is not a working tree of Hermes: the reference is generated there.\n")
        return 1
    for name, text in ((INI_FILE, config_ini({})), (MARKDOWN_FILE, markdown())):
        (top / name).parent.mkdir(exist_ok=True)
        write_durably(str(top / name), text.encode(), 0o644)
    return 0


if __name__ == "__main__":
    sys.exit(main())
