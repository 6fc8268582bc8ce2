"""The figures of a whole server: what is told, to whom, and what becomes of it with a reload."""

from __future__ import annotations

import os
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.threads import deferToThread

from hermes.app import metrics
from hermes.app.passages import Admittance
from hermes.config.schema import AccessSettings, Settings
from hermes.core.address_range import AddressRange
from hermes.services.metrics_text import metrics_text
from tests.support.certificates import make_certificate
from tests.support.ports import free_port
from tests.support.server import ServerTestCase, Talk

Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


def figures(text: str) -> Figures:
    """Values by name and labels; no name and labels come twice, which Prometheus would refuse."""
    found: Figures = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, key
            found[key] = sample.value
    return found


def of(found: Figures, name: str, **labels: str) -> float:
    """One value."""
    return found[name, frozenset(labels.items())]


class MetricsTestCase(ServerTestCase):
    """A server that tells."""

    async def running(self, more: str = "") -> Any:
        """Start it; ``port`` is where it takes mail, ``metrics`` where it tells."""
        self.port, self.metrics = free_port(), free_port()
        self.base = f"[smtp]\nlisten = 127.0.0.1:{self.port}\n[metrics]\nlisten = 127.0.0.1:{self.metrics}\n"
        return await self.start(self.base + more)

    async def fetched(self) -> Figures:
        """What a Prometheus would read."""

        def fetch() -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=10) as answer:
                return str(answer.read().decode())

        return figures(await deferToThread(fetch))


class WholeServerTests(MetricsTestCase):
    """What is told."""

    async def test_mail(self) -> None:
        """A message, a refusal, and the sessions that are open are counted, and the queue is told of."""
        server = await self.running()
        before = await self.fetched()
        self.assertEqual(of(before, "hermes_messages_received_bytes_total"), 0)
        self.assertEqual(of(before, "hermes_queue_messages"), 0)
        for state in metrics.STATES:
            self.assertEqual(of(before, "hermes_queue_recipients", state=state), 0)
            self.assertEqual(of(before, "hermes_queue_oldest_age_seconds", state=state), 0)
        talk = await deferToThread(Talk, ("127.0.0.1", self.port))
        for line, code in (
            ("HELO client.example.org", "250"),
            ("MAIL FROM:<joe@example.net>", "250"),
            ("RCPT TO:<joe@elsewhere.example.com>", "550"),
            ("RCPT TO:<anna@example.org>", "250"),
            ("DATA", "354"),
            ("Subject: x\r\n\r\nx\r\n.", "250"),
        ):
            answer = await deferToThread(talk.say, line)
            self.assertEqual(answer[:3], code, answer)
        await server.spool.flush()
        found = await self.fetched()
        self.assertEqual(of(found, "hermes_messages_received_total", protocol="SMTP"), 1)
        self.assertEqual(of(found, "hermes_messages_received_bytes_total"), 17)
        self.assertEqual(of(found, "hermes_refusals_total", service="smtp", rule="relay.denied"), 1)
        self.assertEqual(of(found, "hermes_sessions", service="smtp"), 1)
        self.assertEqual(of(found, "hermes_sessions", service="pop3"), 0)
        self.assertGreater(of(found, "hermes_commit_seconds_count"), 0)
        self.assertEqual(of(found, "hermes_disk_faults_total", fault="full"), 0)
        self.assertGreater(of(found, "hermes_disk_free_bytes"), 0)
        self.assertEqual(of(found, "hermes_config_last_reload_successful"), 1)
        self.assertLess(of(found, "hermes_start_time_seconds"), server.now())
        talk.close()

    async def test_command(self) -> None:
        """The command over the control socket and in the manhole gives the same names."""
        server = await self.running()
        told = await server.commands().call("metrics", {})
        names = {name for name, _ in figures(metrics_text(told).decode())}
        self.assertEqual(names, {name for name, _ in await self.fetched()})

    async def test_no_addresses(self) -> None:
        """No label has an address, a peer or a name of a person in it."""
        await self.running()
        talk = await deferToThread(Talk, ("127.0.0.1", self.port))
        for line in (
            "HELO hostile.example.net",
            "MAIL FROM:<joe@example.net>",
            "RCPT TO:<nobody@example.org>",
            "XYZZY",
        ):
            await deferToThread(talk.say, line)
        talk.close()
        for name, labels in await self.fetched():
            for label, value in labels:
                if label != "file":
                    self.assertNotRegex(value, r"@|127\.0\.0\.1|hostile|XYZZY|nobody", f"{name} {label}")

    async def test_unreadable_queue(self) -> None:
        """A queue that cannot be read now is left out, and everything else is told."""
        await self.running()

        def unreadable(directory: str) -> None:
            raise OSError("gone")

        self.patch(metrics, "SpoolReader", unreadable)
        found = await self.fetched()
        self.assertNotIn(("hermes_queue_messages", frozenset()), found)
        self.assertIn(("hermes_deliveries", frozenset()), found)

    async def test_certificate(self) -> None:
        """When a certificate expires is told, and when it was replaced so is the new one's end."""
        certificate, key = make_certificate(Path(self.directory()))
        await self.running(f"[tls]\ncertificate = {certificate}\nkey = {key}\n")
        expires = of(await self.fetched(), "hermes_certificate_expires_timestamp_seconds", file=certificate)
        self.assertGreater(expires, 0)

    async def test_reload(self) -> None:
        """A reload that fails is told, and one that succeeds afterwards; what was counted stays."""
        server = await self.running()
        talk = await deferToThread(Talk, ("127.0.0.1", self.port))
        await deferToThread(talk.say, "VRFY")
        talk.close()
        began = of(await self.fetched(), "hermes_config_last_reload_success_timestamp_seconds")
        self.rewrite(self.base + "[smtp2]\n")
        with self.assertRaises(ValueError):
            await server.reload()
        found = await self.fetched()
        self.assertEqual(of(found, "hermes_config_last_reload_successful"), 0)
        self.assertEqual(of(found, "hermes_config_last_reload_success_timestamp_seconds"), began)
        self.rewrite(self.base)
        await server.reload()
        found = await self.fetched()
        self.assertEqual(of(found, "hermes_config_last_reload_successful"), 1)
        self.assertGreater(of(found, "hermes_config_last_reload_success_timestamp_seconds"), began)

    async def test_refused_here(self) -> None:
        """Connection control holds here too, from the reload on."""
        server = await self.running()
        await self.fetched()
        self.rewrite(self.base + "[access:no]\naddresses = 127.0.0.1\naction = refuse\nservers = metrics\n")
        await server.reload()
        with self.assertRaises((OSError, urllib.error.URLError)):
            await self.fetched()

    async def test_off(self) -> None:
        """Without a place nobody can ask, but for the control socket; the library is not needed then."""
        server = await self.start("")
        names = [each["name"] for each in await server.commands().call("metrics", {})]
        self.assertIn("hermes_build_info", names)

    async def test_unix_socket(self) -> None:
        """At a UNIX socket the server's own user may read them, and nobody else."""
        path = os.path.join(self.directory(), "metrics.sock")
        await self.start(f"[metrics]\nlisten = unix:{path}\n")
        self.assertEqual(Path(path).stat().st_mode & 0o777, 0o600)


class PageTests(MetricsTestCase):
    """``docs/metrics.md`` against what is told."""

    #: What is told only where there is something to tell of, or where there are workers.
    ELSEWHERE = frozenset({"hermes_workers"})

    async def test_page(self) -> None:
        """Each family that a server tells of has a row with its labels, and each row is told of."""
        server = await self.running()
        page = (Path(__file__).resolve().parents[2] / "docs" / "metrics.md").read_text()
        rows: dict[str, set[str]] = {}
        for names, labels in re.findall(r"^\| (`hermes_[^|]*)\|([^|]*)\|", page, re.MULTILINE):
            for name in re.findall(r"`(\w+)`", names):
                rows[name] = set(re.findall(r"`(\w+)`", labels))
        told = {each["name"]: each for each in await server.commands().call("metrics", {})}
        self.assertEqual(sorted(rows.keys() - self.ELSEWHERE), sorted(told))
        for name, family in told.items():
            self.assertEqual(family["text"][-1], ".", name)
            for sample in family["samples"]:
                self.assertEqual(set(sample["labels"]), rows[name] - {"le"}, name)

    def test_rules(self) -> None:
        """The rules to copy speak of metrics that there are."""
        page = (Path(__file__).resolve().parents[2] / "docs" / "metrics.md").read_text()
        rules = page.partition("## Rules to copy")[2].partition("## What it costs")[0]
        rows = set(re.findall(r"`(hermes_\w+)`", page.partition("## Rules to copy")[0]))
        for name in re.findall(r"hermes_\w+", rules):
            self.assertIn(name.removesuffix("_bucket"), rows)


class AdmittanceTests(ServerTestCase):
    """Who may read them."""

    def admittance(self, *entries: AccessSettings) -> Admittance:
        """With these entries."""
        self.settings = Settings(access={f"e{number}": entry for number, entry in enumerate(entries)})
        return Admittance(lambda: self.settings)

    def entry(self, addresses: str, action: str = "allow", servers: tuple[str, ...] = ()) -> AccessSettings:
        """One entry."""
        return AccessSettings((AddressRange.parse(addresses),), action, servers)

    def test_this_machine(self) -> None:
        """Without any entry this machine may, and nobody else."""
        admittance = self.admittance()
        for peer in ("127.0.0.1", "::1", "unix"):
            self.assertIsNone(admittance.refusal(peer))
        verdict = admittance.refusal("192.0.2.1")
        assert verdict is not None
        self.assertEqual(verdict.rule, "metrics.stranger")

    def test_entries(self) -> None:
        """Whom an entry allows, here or everywhere, may; whom it allows elsewhere only, or refuses, may not."""
        admittance = self.admittance(
            self.entry("192.0.2.1", servers=("metrics",)),
            self.entry("192.0.2.2"),
            self.entry("192.0.2.3", servers=("smtp",)),
            self.entry("192.0.2.4", action="refuse"),
        )
        verdicts = [admittance.refusal(f"192.0.2.{number}") for number in range(1, 5)]
        rules = [verdict.rule if verdict is not None else None for verdict in verdicts]
        self.assertEqual(rules, [None, None, "metrics.stranger", "access.e3"])

    def test_reload(self) -> None:
        """Other settings hold at once."""
        admittance = self.admittance()
        self.settings = Settings(access={"e": self.entry("192.0.2.1")})
        self.assertIsNone(admittance.refusal("192.0.2.1"))
