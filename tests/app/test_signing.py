"""Mail that leaves is signed: through the whole server, checked by dkimpy."""

from __future__ import annotations

import smtplib
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase

from hermes.app.signing import profiles_of
from hermes.config.loader import load
from hermes.core.event import Kind
from hermes.policy.dkim_keys import State, create_key
from hermes.protocols.dkim_signature import ED25519, RSA
from tests.support.configuration import MINIMAL, write_config
from tests.support.dkim import verified
from tests.support.ports import free_port
from tests.support.server import ServerTestCase
from tests.support.smtp_peer import Script, SMTPPeer

LETTER = b"From: anna@example.org\r\nTo: bob@example.com\r\nSubject: Hello\r\nDate: today\r\n\r\n.A line \r\n\r\n"


class SigningTests(ServerTestCase):
    """A relay's mail to a smart host."""

    async def test_signed(self) -> None:
        """It has both signatures, the same ones at the next attempt after a restart, and the trace names them."""
        port = free_port()
        script = Script(extensions=["SIZE 10000"], replies={"DATA": ["451 later", "354 go on"]})
        peer = SMTPPeer(script)
        peer.start(reactor)
        self.addCleanup(peer.stop)
        more = (
            f"[smarthost]\nhost = 127.0.0.1\nport = {peer.port}\ntls = none\n[queue]\nretry = 1s\n"
            f"[smtp]\nlisten = 127.0.0.1:{port}\n[access:here]\naddresses = 127.0.0.1\nrelay = yes\n"
        )
        server = self.make(more)
        self.addCleanup(server.service.stopService)
        directory = str(Path(server.settings.dkim.directory))
        keys = [
            create_key(directory, "example.org", "r1", RSA, State.IN_USE),
            create_key(directory, "example.org", "e1", ED25519, State.IN_USE),
        ]
        events = self.events()
        await self.begin(server)

        def send() -> None:
            with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example.com", timeout=10) as client:
                client.sendmail("anna@example.org", ["bob@example.com"], LETTER)

        await deferToThread(send)
        (event,) = await events.until(Kind.RELAYED)
        self.assertEqual(event.facts["dkim"], "example.org/r1 example.org/e1")
        (got,) = peer.messages
        records = {f"{key.name}.": key.record.encode() for key in keys}
        self.assertEqual([verified(got.data, records, number) for number in (0, 1)], [True, True])
        sizes = [int(line.partition("SIZE=")[2]) for line in peer.lines if "SIZE=" in line]
        self.assertEqual(sizes, [len(got.data)] * 2)


class ProfileTests(SynchronousTestCase):
    """Which keys sign for which domain."""

    def test_profiles(self) -> None:
        """A domain's own, unless a section says otherwise; reports of the host have those of the domain it is in."""
        settings = load(
            write_config(
                self,
                f"{MINIMAL}[dkim]\noversign = subject\n[dkim:no]\ndomains = no.example\nsign = no\n"
                "[dkim:sub]\ndomains = A.example.net\nsigning_domain = example.net\nheaders = X-One\nselectors = s\n",
            )
        )
        find = profiles_of(settings)
        own = find("example.org")
        assert own is not None
        self.assertEqual((own.domain, own.coverage.oversign), ("example.org", ("from", "subject")))
        self.assertIsNone(find("no.example"))
        sub = find("a.example.net")
        assert sub is not None
        self.assertEqual((sub.domain, sub.coverage.headers, sub.selectors), ("example.net", ("from", "x-one"), ("s",)))
        host = find(settings.hermes.hostname)
        assert host is not None
        self.assertEqual(host.domain, "example.org")
