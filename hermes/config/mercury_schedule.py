"""
The section ``[MercuryX]`` of ``MERCURY.INI`` as the section ``[schedule]``.

Days become windows in words. What cannot be carried over (commands of Windows, dialing, the list of servers for ETRN, which is in
a file of its own whose layout nobody has published) is said in a comment: it is for the administrator to fill in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hermes.config.errors import MercuryFileError
from hermes.config.mercury_ini import Line, lines_of
from hermes.core.connection_schedule import DAYS, format_day, parse_day

#: The modules that Mercury takes down with the clients, unless only those are to go: S, P, H and F.
_SERVERS = "smtp, pop3, phonebook, finger"

#: A program that is not waited for may take as long as anybody waits for a line.
_MAX_DELAY_SECONDS = 3600


def schedule_of(text: str, path: str) -> str:
    """The section that says the same; raise :class:`MercuryFileError`."""
    lines = lines_of(text, "MercuryX")
    if lines is None:
        raise MercuryFileError(f"{path}: there is no section [MercuryX] in it")
    said: dict[str, list[str]] = {}
    problems, remarks = [], []
    for line in lines:
        convert = _KEYS.get(line.key)
        if convert is None:
            remarks.append(f"# {path}:{line.number}: {line.text!r} is nothing that is known, and is left out.")
        elif line.key in said:
            problems.append(f"{path}:{line.number}: {line.key} is there twice: remove one of the two")
        else:
            try:
                said[line.key] = convert(line.value)
            except ValueError as error:
                problems.append(f"{path}:{line.number}: {line.key}: {error}")
    if problems:
        raise MercuryFileError("\n".join(problems))
    return "\n".join([*_heading(text), *(each for key in _KEYS for each in said.get(key, ())), *remarks]) + "\n"


def _heading(text: str) -> list[str]:
    # What is not among the modules that Mercury loads does not run, however much is written about it.
    modules: list[Line] = lines_of(text, "Protocols") or []
    if any("mercuryx" in line.text.lower() for line in modules):
        return ["[schedule]", "enabled = yes"]
    return ["[schedule]", "# Mercury did not load its scheduler: [Protocols] does not have it.", "enabled = no"]


def _day(name: str) -> Callable[[str], list[str]]:
    return lambda value: [f"{name} = {format_day(parse_day(value))}"]


def _command(key: str, when: str) -> Callable[[str], list[str]]:
    def convert(value: str) -> list[str]:
        if not value:
            return []
        return [f"# Mercury ran this {when}; write a command of this system:", f"# {key} = {value}"]

    return convert


def _delay(value: str) -> list[str]:
    seconds = _number(value)
    if seconds > _MAX_DELAY_SECONDS:
        raise ValueError(f"{value} seconds are more than {_MAX_DELAY_SECONDS}")
    return [f"before_delay = {seconds}s"] if seconds else []


def _wait(value: str) -> list[str]:
    return [] if _number(value) else ["# Mercury did not wait for its end; here it is waited for, before_time at most."]


def _dialing(value: str) -> list[str]:
    return ["# Mercury dialed by Windows; here before has to do it."] if _number(value) else []


def _etrn(value: str) -> list[str]:
    if not _number(value):
        return []
    return ["# Mercury asked the servers in ETRN.DAT for mail; write their names:", "# etrn = mx.example.net"]


def _clients_only(value: str) -> list[str]:
    return [] if _number(value) else [f"servers = {_SERVERS}"]


def _drain(value: str) -> list[str]:
    return [f"drain = {'yes' if _number(value) else 'no'}"]


def _number(value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        raise ValueError(f"{value!r} is not a whole number")
    return int(value)


#: What each key of the section becomes, in the order in which it is written. Whether a flag is set Mercury tells by 0.
_KEYS: Mapping[str, Callable[[str], list[str]]] = {
    **{day: _day(day) for day in DAYS},
    "clients_only": _clients_only,
    "cmd_before": _command("before", "before going on line"),
    "cmd_wait": _wait,
    "cmd_delay": _delay,
    "ie4_dialling": _dialing,
    "cmd_after": _command("after", "after going off line"),
    "drain_queues": _drain,
    "use_etrn": _etrn,
}
