"""Connections of which nothing is asked, beside aiosmtpd: how much memory each takes, and what they cost the processor."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import attrs

from bench import aiosmtpd_rows, certificate, plots
from bench.aiosmtpd_rows import Aiosmtpd
from bench.pairs import Options
from bench.process import free_ports
from bench.site import Hermes
from bench.table import Section

#: Each is measured with all the connections before it open. The last is the number that is promised.
STEPS = (1000, 2500, 5000, 10_000)

#: Open files beside the connections, of the server and of the client.
BESIDE = 300

#: How long each look at the processor is; there are as many as pairs were asked for.
LOOK_SECONDS = 5.0

#: Nobody is to be thrown out while the others are being connected.
NO_TIMEOUT = "timeout = 2h\n"


@attrs.frozen
class Point:
    """What so many idle connections take: octets more than none, and the share of a core in each look."""

    connections: int
    octets: int
    shares: list[float]

    @property
    def share(self) -> float:
        """The median."""
        return statistics.median(self.shares)


def measure(options: Options, root: Path) -> Section:
    """Plain connections, then the same with TLS, to each server in turn."""
    plots.need()
    aiosmtpd_rows.need()
    wanted = [options.scaled(step, 10) for step in STEPS]
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1] - BESIDE
    steps = [step for step in wanted if step <= allowed]
    if len(steps) < len(wanted):
        steps.append(allowed)
    chain, key = certificate.make(root)
    more = f"\n[tls]\ncertificate = {chain}\nkey = {key}\n\n[limits]\nconnections = {steps[-1] + 10}\n"
    hermes = Hermes(root / "hermes", free_ports(1)[0], options.workers, in_smtp=NO_TIMEOUT, more=more)
    peer = Aiosmtpd(root / "aiosmtpd", chain, key)
    curves: dict[str, list[Point]] = {}
    for kind in ("plain", "TLS"):
        for name, site in (("Hermes", hermes), ("aiosmtpd", peer)):
            site.start()
            try:
                curves[f"{name}, {kind}"] = _curve(site, kind, steps, options)
            finally:
                site.stop()
    notes = _table(curves)
    if steps != wanted:
        notes.append(
            f"The system allows {allowed + BESIDE} open files: {wanted[-1]:,} connections could not be measured."
        )
    versions = [hermes.version(), aiosmtpd_rows.version()]
    return Section("idle", "", options, versions, notes=notes, picture=lambda to: plots.idle(curves, to))


def _curve(site: Hermes | Aiosmtpd, kind: str, steps: list[int], options: Options) -> list[Point]:
    command = [sys.executable, "-m", "bench.idle_client", str(site.port), kind]
    root = Path(__file__).parents[1]
    before = site.resident_octets()[0]
    points = []
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        for step in steps:
            client.stdin.write(f"{step}\n")
            client.stdin.flush()
            if client.stdout.readline().strip() != str(step):
                raise AssertionError(f"{kind}: there are no {step} connections")
            shares = [_share(site, max(1.0, LOOK_SECONDS * min(1, options.scale))) for _ in range(options.pairs)]
            points.append(Point(step, site.resident_octets()[0] - before, shares))
            print(site.name, kind, step, points[-1].octets, points[-1].share, flush=True)
        client.stdin.close()
        if client.stdout.readline().strip() != str(steps[-1]):
            raise AssertionError(f"{kind}: not all of {steps[-1]} connections were there to the end")
    return points


def _share(site: Hermes | Aiosmtpd, seconds: float) -> float:
    used, began = site.running_seconds(), time.monotonic()
    time.sleep(seconds)
    return (site.running_seconds() - used) / (time.monotonic() - began)


def _table(curves: dict[str, list[Point]]) -> list[str]:
    lines = [
        "| idle connections | memory, MB | KB each | share of a core, median | share of a core, range |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, points in curves.items():
        lines += [
            f"| {name}, {point.connections:,} | {point.octets / 1024**2:.0f} | {point.octets / 1024 / point.connections:.1f} |"
            f" {point.share:.2%} | {min(point.shares):.2%} - {max(point.shares):.2%} |"
            for point in points
        ]
    return ["\n".join(lines)]
