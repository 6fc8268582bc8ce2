"""
Which names and addresses were whose, and when: a small file, so that what the trace has about somebody is found under the old
names too, and what it has about somebody else of the same name is not.

A name is an account's from the time on at which another gave it up, or at which the account was renamed to it. The commands that
rename and remove accounts write it; of what happens without them nothing is known. It is there when it is first needed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress

import attrs

from hermes.config.durable import write_durably
from hermes.core.period import Period
from hermes.directory.accounts import address_key

#: Of one account. Who is renamed once a year for a lifetime has as many; the oldest go first.
MAX_NAMES = 50

#: Names and addresses that were handed on, at some 50 octets each: those of a university that loses a tenth of its people in the
#: time of the trace. The oldest go first, of which the trace knows least.
MAX_HANDED_ON = 20_000


@attrs.frozen
class _Known:
    """``former`` has the names of accounts before their present ones, oldest first; ``handed_on`` when names last were."""

    former: dict[str, list[Period]]
    handed_on: dict[str, float]

    def begun(self, name: str) -> float:
        """Since when the account of that name has it; 0 when nobody is known to have had it before."""
        former = self.former.get(name)
        return former[-1].until if former else self.handed_on.get(name, 0.0)

    def hand_on(self, names: Iterable[str], now: float) -> None:
        """They are another's from now on."""
        for each in map(_key, names):
            self.handed_on.pop(each, None)
            self.handed_on[each] = now


class FormerNames:
    """Those in the file at ``path``; ValueError for one that cannot be used. What is older than ``since`` is forgotten."""

    def __init__(self, path: str, since: float) -> None:
        self._path = path
        self._since = since

    def of(self, name: str, addresses: Sequence[str], domains: Sequence[str]) -> list[Period]:
        """
        All that an account is and was known by, each with the time in which it was.

        ``addresses`` are those that it has. Those of its former names are these names at each of ``domains``.
        """
        known = self._read()
        periods = []
        for former in known.former.get(name, ()):
            periods.append(former)
            for address in (f"{former.name}@{domain}" for domain in domains):
                handed_on = known.handed_on.get(_key(address), 0.0)
                since = handed_on if former.since < handed_on < former.until else former.since
                periods.append(Period(address, since, former.until))
        return [
            *periods,
            Period(name, known.begun(name)),
            *(Period(address, known.handed_on.get(_key(address), 0.0)) for address in addresses),
        ]

    def was_renamed(self, name: str) -> bool:
        """Whether an account of that name was called otherwise before."""
        return name in self._read().former

    def rename(self, name: str, new_name: str, addresses: Sequence[str], now: float) -> None:
        """
        An account has another name; said again, nothing more.

        ``addresses`` are those that come or go with the names.
        """
        known = self._read()
        # Of an account of the new name that is gone, unless this was said before.
        there = known.former.pop(new_name, [])
        if there and there[-1].name == name and known.handed_on.get(name) == there[-1].until:
            former = [*there[:-1], attrs.evolve(there[-1], until=now)]
        else:
            former = [*known.former.get(name, ()), Period(name, known.begun(name), now)]
        known.former.pop(name, None)
        known.former[new_name] = former[-MAX_NAMES:]
        known.hand_on((name, *addresses), now)
        self._write(known)

    def hand_on(self, name: str, addresses: Sequence[str], now: float) -> None:
        """There is no account of that name and these addresses any more, or it is another one from now on."""
        known = self._read()
        known.former.pop(name, None)
        known.hand_on((name, *addresses), now)
        self._write(known)

    def _read(self) -> _Known:
        try:
            with open(self._path, "rb") as file:
                found = json.loads(file.read())
            former = {
                str(name): [Period(str(each), float(since), float(until)) for each, since, until in names]
                for name, names in found["former"].items()
            }
            handed_on = {str(name): float(at) for name, at in found["handed_on"].items()}
        except FileNotFoundError:
            return _Known({}, {})
        except OSError as error:
            raise ValueError(f"{self._path} cannot be read: {error.strerror or error}") from None
        except (ValueError, TypeError, AttributeError, KeyError):
            raise ValueError(
                f"{self._path} is damaged: remove it, and what accounts were called before is not known"
            ) from None
        recent = {name: [each for each in names if each.until >= self._since] for name, names in former.items()}
        return _Known(
            {name: names for name, names in recent.items() if names},
            {name: at for name, at in handed_on.items() if at >= self._since},
        )

    def _write(self, known: _Known) -> None:
        found = {
            "former": {name: [attrs.astuple(each) for each in names] for name, names in known.former.items()},
            "handed_on": dict(list(known.handed_on.items())[-MAX_HANDED_ON:]),
        }
        try:
            owner = os.stat(os.path.dirname(self._path))
            with suppress(FileNotFoundError):
                owner = os.stat(self._path)
            write_durably(self._path, json.dumps(found).encode(), 0o600, (owner.st_uid, owner.st_gid))
        except OSError as error:
            raise ValueError(f"{self._path} cannot be written: {error.strerror or error}") from None


def _key(name: str) -> str:
    return address_key(name) if "@" in name else name
