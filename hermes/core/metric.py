"""
Figures for monitoring, as values: a family of one name, and what it says of each of its labels.

They are made when somebody asks; what counts is plain integers elsewhere. Names and units follow the conventions of Prometheus:
``hermes_`` in front, seconds and bytes, ``_total`` for what only grows. A label has few values, which the configuration or the
source names: never an address, a peer or a word of a stranger.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"

#: The value of a label that stands for all that are not counted by themselves.
OTHER = "other"

#: Label values that a family of counts has at most. A large configuration has some hundred rules; were a name ever to come from
#: a stranger, neither we nor whoever keeps the figures would be filled with them.
MAX_DIFFERENT = 500


@attrs.frozen
class Sample:
    """One value and its labels; that of a histogram is what :meth:`Histogram.value` gives."""

    value: Any
    labels: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Family:
    """All values of one name; ``kind`` is ``counter``, ``gauge`` or ``histogram``, ``text`` says what it means."""

    name: str
    kind: str
    text: str
    samples: Sequence[Sample]

    def labelled(self, name: str, value: str) -> Family:
        """The same with one more label on each value."""
        return attrs.evolve(self, samples=[Sample(each.value, {name: value, **each.labels}) for each in self.samples])

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        samples = [{"value": each.value, "labels": dict(each.labels)} for each in self.samples]
        return {"name": self.name, "kind": self.kind, "text": self.text, "samples": samples}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Family:
        """What :meth:`as_json` has made."""
        samples = [Sample(each["value"], dict(each["labels"])) for each in told["samples"]]
        return cls(told["name"], told["kind"], told["text"], samples)


def gauge(name: str, text: str, value: float) -> Family:
    """What goes up and down, without labels."""
    return Family(name, GAUGE, text, [Sample(value)])


def counter(name: str, text: str, value: float) -> Family:
    """What only grows, without labels."""
    return Family(name, COUNTER, text, [Sample(value)])


def by_label(kind: str, name: str, text: str, label: str, values: Mapping[str, float]) -> Family:
    """A value for each value of one label."""
    return Family(name, kind, text, [Sample(value, {label: key}) for key, value in values.items()])


def joined(parts: Iterable[Sequence[Family]]) -> list[Family]:
    """Families of several origins: those of one name are one family, in the order in which the names come first."""
    found: dict[str, Family] = {}
    for families in parts:
        for each in families:
            before = found.get(each.name)
            found[each.name] = (
                each if before is None else attrs.evolve(before, samples=[*before.samples, *each.samples])
            )
    return list(found.values())


class Counts:
    """How often something of some words has happened; ``labels`` are the names of the words."""

    def __init__(self, *labels: str) -> None:
        self._labels = labels
        self._counts: dict[tuple[str, ...], int] = {}

    def add(self, words: tuple[str, ...], number: int = 1) -> None:
        """Count it; when there are :data:`MAX_DIFFERENT` already, a new one counts among the others."""
        counts = self._counts
        if words in counts:
            counts[words] += number
        elif len(counts) < MAX_DIFFERENT:
            counts[words] = number
        else:
            others = (OTHER,) * len(self._labels)
            counts[others] = counts.get(others, 0) + number

    def family(self, name: str, text: str) -> Family:
        """The counts as figures."""
        samples = [
            Sample(number, dict(zip(self._labels, words, strict=True))) for words, number in self._counts.items()
        ]
        return Family(name, COUNTER, text, samples)


class Histogram:
    """How many values were at most each of some ``bounds``, which grow; written by one thread, read by others."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def value(self, others: Sequence[Histogram] = ()) -> dict[str, Any]:
        """
        Ready for JSON: for each bound how many were at most that, and the sum. The last bound, of all, is ``+Inf``.

        What ``others`` of the same bounds have counted is added.
        """
        together = (self, *others)
        buckets, count = [], 0
        for place, bound in enumerate((*map(repr, self._bounds), "+Inf")):
            count += sum(each._counts[place] for each in together)
            buckets.append([bound, count])
        return {"buckets": buckets, "sum": sum(each._sum for each in together)}
