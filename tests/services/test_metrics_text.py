"""The text of figures, read back by the parser of prometheus-client."""

from __future__ import annotations

from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.metric import COUNTER, GAUGE, HISTOGRAM, Family, Histogram, Sample, counter
from hermes.services.metrics_text import metrics_text


class TextTests(SynchronousTestCase):
    """What Prometheus would understand."""

    def read(self, *families: Family) -> dict[str, list[tuple[dict[str, str], float]]]:
        """Write them and read them: labels and values by name."""
        text = metrics_text([family.as_json() for family in families]).decode()
        found: dict[str, Any] = {}
        for metric in text_string_to_metric_families(text):
            for sample in metric.samples:
                found.setdefault(sample.name, []).append((sample.labels, sample.value))
        return found

    def test_kinds(self) -> None:
        """Counters, gauges, and labels that only some values have."""
        found = self.read(
            counter("hermes_a_total", "A.", 3),
            Family("hermes_b", GAUGE, "B.", [Sample(1.5, {"list": "one"}), Sample(2, {"worker": "1", "list": "two"})]),
        )
        self.assertEqual(found["hermes_a_total"], [({}, 3.0)])
        labels = [({k: v for k, v in labels.items() if v}, value) for labels, value in found["hermes_b"]]
        self.assertEqual(labels, [({"list": "one"}, 1.5), ({"worker": "1", "list": "two"}, 2.0)])

    def test_histogram(self) -> None:
        """Buckets, count and sum."""
        histogram = Histogram((0.5, 1.0))
        histogram.add(0.75)
        found = self.read(Family("hermes_h_seconds", HISTOGRAM, "H.", [Sample(histogram.value(), {"worker": "0"})]))
        self.assertEqual(
            [(labels["le"], value) for labels, value in found["hermes_h_seconds_bucket"]],
            [("0.5", 0.0), ("1.0", 1.0), ("+Inf", 1.0)],
        )
        self.assertEqual(found["hermes_h_seconds_count"], [({"worker": "0"}, 1.0)])
        self.assertEqual(found["hermes_h_seconds_sum"], [({"worker": "0"}, 0.75)])

    def test_odd_values(self) -> None:
        """What an administrator may write into a name or a path harms nothing."""
        odd = 'a"b\\c\nd\u00e9'
        found = self.read(Family("hermes_a_total", COUNTER, "A\nB.", [Sample(1, {"file": odd})]))
        self.assertEqual(found["hermes_a_total"], [({"file": odd}, 1.0)])
