"""A server under full load for a while: whether its memory stays as it is, and how soon it answers somebody else meanwhile."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from bench import plots
from bench.load import Load
from bench.pairs import Options
from bench.pop3_client import POP3Client
from bench.process import free_ports
from bench.sending import Sending, sending
from bench.site import Hermes
from bench.table import Section

LOAD = Load(2000, 4096, 10, True)

MEMORY_SECONDS, NOOP_SECONDS = 600, 20

#: The part at the beginning that is not counted: caches and pools fill up until they have their size.
WARM_UP = 0.2

#: The least object of Python has 16 octets: what grows by less for each message keeps nothing of it.
MAX_OCTETS_A_MESSAGE = 16.0

#: Fewer messages tell nothing: memory has its size after some thirty thousand.
MIN_MESSAGES = 100_000

#: What memory moves up and down by itself, by the garbage collector and what happens to be under way.
NOISE_OCTETS = 3 * 1024**2


@attrs.frozen
class Sample:
    """Memory at one moment."""

    seconds: float
    messages: int
    octets: int


@attrs.frozen
class Growth:
    """The straight line through the samples after the warm-up, by least squares."""

    messages: int
    octets_a_message: float

    @property
    def is_long_enough(self) -> bool:
        """Whether so many messages came that it means something."""
        return self.messages >= MIN_MESSAGES

    @property
    def is_flat(self) -> bool:
        """Whether what it grew is less than the noise, or less than any object for each message."""
        return self.octets_a_message * self.messages <= max(NOISE_OCTETS, MAX_OCTETS_A_MESSAGE * self.messages)


def growth(samples: Sequence[Sample]) -> Growth:
    """How memory grew with the messages."""
    counted = samples[int(len(samples) * WARM_UP) :]
    messages = [sample.messages for sample in counted]
    if len(set(messages)) < 2:
        raise AssertionError("too few messages arrived to tell anything: measure longer")
    slope = statistics.linear_regression(messages, [sample.octets for sample in counted]).slope
    return Growth(messages[-1] - messages[0], slope)


def measure(options: Options, root: Path) -> Section:
    """Answers to NOOP without load and under it, in turn; then memory."""
    plots.need()
    site = Hermes(root / "hermes", free_ports(1)[0], options.workers, accounts=["box0"])
    client, one = POP3Client(root), attrs.evolve(LOAD, messages=options.scaled(LOAD.messages, 200))
    answers: dict[str, list[Mapping[str, float]]] = {"quiet": [], "full load": []}
    site.start()
    try:
        seconds = options.scaled(NOOP_SECONDS, 2)
        client.run(site.pop3_port, "box", site.password)
        for _ in range(options.pairs):
            answers["quiet"].append(_noops(client, site, seconds))
            with sending(site, one):
                answers["full load"].append(_noops(client, site, seconds))
        samples = _memory(site, one, options.scaled(MEMORY_SECONDS, 5))
    finally:
        site.stop()
    found = growth(samples)
    return Section(
        "steady",
        "",
        options,
        [site.version()],
        notes=[_table(answers), _told(samples, found)],
        picture=lambda to: plots.steady(samples, answers, to),
        failure=""
        if found.is_flat or not found.is_long_enough
        else f"memory grew by {found.octets_a_message:.0f} octets with each message",
    )


def _noops(client: POP3Client, site: Hermes, seconds: int) -> Mapping[str, float]:
    latency = client.run(site.pop3_port, "box", site.password, "-n", str(seconds)).latency_ms["noop"]
    print("NOOP:", dict(latency), flush=True)
    return latency


def _memory(site: Hermes, one: Load, seconds: float) -> list[Sample]:
    samples = []
    with sending(site, one) as sent:
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < seconds:
            samples.append(_sample(site, sent, elapsed))
            sent.check()
            # A look takes some milliseconds of the kernel's time.
            time.sleep(min(1.0, seconds / 50))
    return samples


def _sample(site: Hermes, sent: Sending, elapsed: float) -> Sample:
    return Sample(elapsed, sent.messages, site.resident_octets()[0])


def _table(answers: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    lines = [
        "| POP3 NOOP answered, ms | half of them | 99 of 100 | 99 of 100, range | the last |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for kind, runs in answers.items():
        p99s = [run["p99"] for run in runs]
        lines.append(
            f"| {kind} | {statistics.median(run['p50'] for run in runs):.2f} | {statistics.median(p99s):.1f} |"
            f" {min(p99s):.1f} - {max(p99s):.1f} | {max(run['max'] for run in runs):.1f} |"
        )
    return "\n".join(lines)


def _judged(found: Growth) -> str:
    if not found.is_long_enough:
        return f"too short to tell, {MIN_MESSAGES:,} messages are wanted"
    return "flat" if found.is_flat else "not flat"


def _told(samples: Sequence[Sample], found: Growth) -> str:
    counted = [sample.octets / 1024**2 for sample in samples[int(len(samples) * WARM_UP) :]]
    return (
        f"Full load for {samples[-1].seconds:.0f} s ({LOAD}): {samples[-1].messages:,} messages; memory (proportional set size)"
        f" between {min(counted):.1f} and {max(counted):.1f} MB after the first fifth, growing by"
        f" {found.octets_a_message:.1f} octets a message ({_judged(found)}: the limit is"
        f" {MAX_OCTETS_A_MESSAGE:.0f}, or {NOISE_OCTETS // 1024**2} MB in all)."
    )
