"""The walk-through for a device, as it stands in docs/relay-for-devices.md, with servers of the test suite for the provider's."""

from __future__ import annotations

import re
from pathlib import Path

from hermes.config.loader import load
from hermes.config.providers import providers
from hermes.core.event import Kind
from tests.app.test_oauth import OAuthCase
from tests.support.oauth_server import CLIENT_ID, CLIENT_SECRET, USER

PAGE = Path(__file__).resolve().parents[2] / "docs" / "relay-for-devices.md"


def block(name: str) -> str:
    """The piece of configuration behind a mark."""
    found = re.search(rf"<!-- {name} -->\n```ini\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None, name
    return found[1]


class WalkthroughTests(OAuthCase):
    """What the page says works."""

    def test_facts(self) -> None:
        """Host, port and limits on the page are those of the table of providers."""
        for preset, provider in providers().items():
            text = block(preset).replace("file:secrets/google", "x")
            settings = load(self.write(block("device") + text, accounts=False))
            smarthost = settings.smarthost
            self.assertEqual(f"{smarthost.host}:{smarthost.port}", provider.get("smtp"))
            self.assertEqual(settings.oauth_clients["office"].preset, preset)
            for key in ("messages_per_minute", "messages_per_day", "recipients_per_day"):
                self.assertEqual(getattr(smarthost, key), provider.get(key, 0), key)
            self.assertLessEqual(smarthost.connections, provider.get("connections", 5))

    async def test_a_scan(self) -> None:
        """The device sends in the clear and without a login; the scan waits for the login, and then goes with TLS and a token."""
        text = block("device").replace("192.168.7.20", "127.0.0.1") + block("microsoft")
        for before, after in (
            (
                r"preset = microsoft\nclient_id = .*\ntenant = .*",
                f"client_id = {CLIENT_ID}\nclient_secret = {CLIENT_SECRET}",
            ),
            (r"host = smtp.office365.com\nport = 587", f"host = localhost\nport = {self.peer.port}"),
            (r"username = scanner@example.com", f"username = {USER}\nauthority = {self.authorization.certificate}"),
        ):
            text, count = re.subn(before, lambda _, after=after: after, text)
            self.assertEqual(count, 1, before)
        # What the preset would say of the provider, of this one:
        facts = self.authorization.section("device", "office").split("client_secret", 1)[1].split("\n", 1)[1]
        text = text.replace(f"client_secret = {CLIENT_SECRET}\n", f"client_secret = {CLIENT_SECRET}\n{facts}")
        await self.start(f"[smtp]\nlisten = 127.0.0.1:{self.smtp_port}\n{text}")
        events = self.events()
        await self.send()
        (waiting,) = await events.until(Kind.DEFERRED)
        self.assertIn("run 'hermes oauth login office'", waiting.facts["reason"])
        await self.run_hermes("oauth", "login", "office")
        (sent,) = await events.until(Kind.RELAYED)
        self.assertIn("TLSv1", sent.facts["tls"])
        self.assertEqual(len(self.peer.messages), 1)
