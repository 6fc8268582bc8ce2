"""Figures as values: families, counts, histograms."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.metric import COUNTER, GAUGE, MAX_DIFFERENT, OTHER, Counts, Family, Histogram, Sample, gauge, joined


class FamilyTests(SynchronousTestCase):
    """Families on their way."""

    def test_json(self) -> None:
        """What was made ready for JSON is the same afterwards."""
        family = Family("hermes_x_total", COUNTER, "What x is.", [Sample(3, {"list": "one"}), Sample(1.5)])
        self.assertEqual(Family.from_json(json.loads(json.dumps(family.as_json()))), family)

    def test_labelled(self) -> None:
        """One more label stands on each value, beside what there was."""
        family = Family("hermes_x", GAUGE, "What x is.", [Sample(3, {"list": "one"}), Sample(1)])
        labels = [sample.labels for sample in family.labelled("worker", "2").samples]
        self.assertEqual(labels, [{"worker": "2", "list": "one"}, {"worker": "2"}])

    def test_joined(self) -> None:
        """Families of one name are one, in the order in which they came first."""
        a, b = gauge("hermes_a", "A.", 1), gauge("hermes_b", "B.", 2)
        found = joined([[a], [b, gauge("hermes_a", "A.", 3)]])
        self.assertEqual([each.name for each in found], ["hermes_a", "hermes_b"])
        self.assertEqual([sample.value for sample in found[0].samples], [1, 3])


class CountsTests(SynchronousTestCase):
    """Counts by a few words."""

    def values(self, counts: Counts) -> dict[tuple[str, ...], int]:
        """What was counted, by the values of the labels."""
        family = counts.family("hermes_x_total", "X.")
        self.assertEqual(family.kind, COUNTER)
        return {tuple(sample.labels.values()): sample.value for sample in family.samples}

    def test_labels(self) -> None:
        """Each combination of words is counted by itself, with the labels that were named."""
        counts = Counts("service", "rule")
        counts.add(("smtp", "a"))
        counts.add(("smtp", "a"), 2)
        counts.add(("pop3", "a"))
        self.assertEqual(self.values(counts), {("smtp", "a"): 3, ("pop3", "a"): 1})
        self.assertEqual(list(counts.family("x", "X.").samples[0].labels), ["service", "rule"])

    def test_bound(self) -> None:
        """At the bound what is known is still counted by itself, and whatever is new counts among the others."""
        counts = Counts("rule")
        for number in range(MAX_DIFFERENT):
            counts.add((f"rule{number}",))
        self.assertEqual(len(self.values(counts)), MAX_DIFFERENT)
        counts.add(("new",))
        counts.add(("newer",), 2)
        counts.add(("rule0",))
        values = self.values(counts)
        self.assertEqual(len(values), MAX_DIFFERENT + 1)
        self.assertEqual((values[(OTHER,)], values[("rule0",)]), (3, 2))
        self.assertNotIn(("new",), values)


class HistogramTests(SynchronousTestCase):
    """How long something took."""

    def test_buckets(self) -> None:
        """A value counts in each bucket whose bound it does not exceed; a bound belongs to its own bucket."""
        histogram = Histogram((0.5, 1.0))
        for value in (0.25, 0.5, 0.75, 1.0, 4.0):
            histogram.add(value)
        self.assertEqual(histogram.value(), {"buckets": [["0.5", 2], ["1.0", 4], ["+Inf", 5]], "sum": 6.5})

    def test_others(self) -> None:
        """What others have counted is added."""
        one, other = Histogram((0.5,)), Histogram((0.5,))
        for histogram, value in ((one, 0.25), (other, 0.25), (other, 1.0)):
            histogram.add(value)
        self.assertEqual(one.value([other]), {"buckets": [["0.5", 2], ["+Inf", 3]], "sum": 1.5})

    def test_empty(self) -> None:
        """Nothing was counted yet."""
        self.assertEqual(Histogram((1.0,)).value(), {"buckets": [["1.0", 0], ["+Inf", 0]], "sum": 0.0})
