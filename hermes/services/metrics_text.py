"""Figures as the text that Prometheus and what is like it read; the format itself is prometheus-client's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from typing_extensions import override

from hermes.core.metric import COUNTER, HISTOGRAM, Family

__all__ = ["CONTENT_TYPE_LATEST", "metrics_text"]


class _Told(Collector):
    """What was told, as a library of metrics wants it."""

    def __init__(self, families: Iterable[Mapping[str, Any]]) -> None:
        self._families = families

    @override
    def collect(self) -> Iterator[Metric]:
        for told in self._families:
            family = Family.from_json(told)
            labels = list(dict.fromkeys(label for sample in family.samples for label in sample.labels))
            if family.kind == HISTOGRAM:
                yield _histogram(family, labels)
                continue
            kind = CounterMetricFamily if family.kind == COUNTER else GaugeMetricFamily
            metric = kind(family.name, family.text, labels=labels)
            for sample in family.samples:
                metric.add_metric([sample.labels.get(label, "") for label in labels], sample.value)
            yield metric


def _histogram(family: Family, labels: list[str]) -> Metric:
    metric = HistogramMetricFamily(family.name, family.text, labels=labels)
    for sample in family.samples:
        values = [sample.labels.get(label, "") for label in labels]
        metric.add_metric(values, sample.value["buckets"], sample.value["sum"])
    return metric


def metrics_text(families: Iterable[Mapping[str, Any]]) -> bytes:
    """The text of families that are as they come from :meth:`hermes.core.metric.Family.as_json`."""
    text: bytes = generate_latest(_Told(families))
    return text
