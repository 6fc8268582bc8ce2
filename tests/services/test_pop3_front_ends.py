"""POP3 behind a load balancer that says by the PROXY protocol whose connection it is."""

from __future__ import annotations

from ipaddress import ip_network

import attrs
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.schema import POP3Settings
from hermes.core.outcome import Verdict
from hermes.core.reply import Reply
from hermes.services.front_end import HEADER_SECONDS
from tests.support.mailbox import MailboxRealm, MemoryMailbox
from tests.support.pop3 import Client, Site, Wire
from tests.support.surroundings import TokenTLS

FRONT_END, CLIENT, STRANGER = "127.0.0.1", "127.0.0.9", "198.51.100.7"

HEADER = f"PROXY TCP4 {CLIENT} 198.51.100.1 40000 110\r\n".encode()

BUSY = Verdict(Reply.of(421, "4.7.0", "Too many"), "limits.rate")


class ProxyTests(SynchronousTestCase):
    """A site whose front end is this machine."""

    def setUp(self) -> None:
        """The site."""
        self.site = Site(MailboxRealm(ada=MemoryMailbox(b"Subject: x\n\ntext\n")))
        self.site.factory.settings = POP3Settings(
            auth_without_tls="loopback", front_ends=(ip_network("127.0.0.1/32"),), proxy_protocol=True
        )

    def connect(self, peer: str = FRONT_END) -> tuple[Client, Wire]:
        """A connection, and its wire."""
        wire = Wire(peer)
        client = Client(self.site, wire)
        wire.protocol = client.session
        return client, wire

    def over(self) -> None:
        """Nothing is left of any connection."""
        self.assertEqual((self.site.gate.inside, self.site.gate.nameless), (0, 0))
        self.assertEqual(self.site.factory.sessions, set())
        self.assertEqual([call for call in self.site.clock.getDelayedCalls() if call.active()], [])

    def test_client(self) -> None:
        """The greeting comes behind the header; from there on the peer is the client, in the trace and for the gate."""
        client, wire = self.connect()
        self.assertEqual((client.greeting, self.site.gate.nameless, self.site.gate.inside), (b"", 1, 0))
        self.assertEqual(client.session.describe()["state"], "header")
        for position in range(len(HEADER) - 1):
            self.assertEqual(client.send(HEADER[position : position + 1]), b"")
        self.assertTrue(client.send(HEADER[-1:]).startswith(b"+OK"))
        self.assertEqual((self.site.gate.nameless, self.site.gate.inside), (0, 1))
        self.assertTrue(client.say("USER ada", "PASS secret", "RETR 1").endswith(b"text\r\n.\r\n"))
        described = client.session.describe()
        self.assertEqual((described["peer"], described["via"]), (CLIENT, FRONT_END))
        for kind in ("login", "retrieved"):
            (facts,) = self.site.journal.facts(kind)
            self.assertEqual((facts["peer"], facts["via"]), (CLIENT, FRONT_END))
        client.say("QUIT")
        self.assertTrue(wire.lost)
        self.over()

    def test_octets_behind_the_header(self) -> None:
        """A client that talks at once is heard, whatever piece its words come in."""
        client, _ = self.connect()
        self.assertEqual(client.send(HEADER + b"USER ada\r\nPASS secret\r\n").count(b"+OK"), 3)

    def test_own_connection(self) -> None:
        """What a front end opens for itself is its own."""
        client, _ = self.connect()
        self.assertTrue(client.send(b"PROXY UNKNOWN\r\n").startswith(b"+OK"))
        self.assertEqual((client.session.peer, client.session.via), (FRONT_END, ""))

    def test_no_header(self) -> None:
        """A front end that begins otherwise is not served, and that is in the trace."""
        client, wire = self.connect()
        self.assertEqual(
            client.send(b"USER ada\r\n"), b"-ERR [SYS/TEMP] A front end must begin with a PROXY header\r\n"
        )
        self.assertTrue(wire.lost)
        (facts,) = self.site.journal.facts("refused")
        self.assertEqual((facts["rule"], facts["peer"]), ("proxy.header", FRONT_END))
        self.over()

    def test_silence(self) -> None:
        """A header is not waited for longer than its time."""
        client, wire = self.connect()
        self.site.clock.advance(HEADER_SECONDS - 1)
        self.assertEqual((client.take(), wire.lost), (b"", False))
        self.site.clock.advance(1)
        self.assertTrue(client.take().startswith(b"-ERR [SYS/TEMP]"))
        self.over()

    def test_no_room_for_one_more(self) -> None:
        """When there are too many connections altogether, a front end hears so before it has sent its header."""
        self.site.gate.expectation = BUSY
        client, wire = self.connect()
        self.assertEqual((client.greeting, wire.lost), (b"-ERR [SYS/TEMP] Too many\r\n", True))
        self.over()

    def test_refused_by_the_gate(self) -> None:
        """The gate judges the client."""
        self.site.gate.admission = BUSY
        client, _ = self.connect()
        self.assertEqual(client.send(HEADER), b"-ERR [SYS/TEMP] Too many\r\n")
        (facts,) = self.site.journal.facts("refused")
        self.assertEqual((facts["peer"], facts["via"]), (CLIENT, FRONT_END))
        self.over()

    def test_strangers(self) -> None:
        """Everybody else is greeted at once, and PROXY is no command."""
        client, _ = self.connect(STRANGER)
        self.assertTrue(client.greeting.startswith(b"+OK"))
        self.assertTrue(client.send(HEADER).startswith(b"-ERR"))
        self.assertEqual(client.session.peer, STRANGER)

    def test_gone_before_the_header(self) -> None:
        """A front end that leaves leaves nothing."""
        _, wire = self.connect()
        wire.drop()
        self.over()

    def test_shut_down(self) -> None:
        """The server's end does not wait for a header."""
        client, wire = self.connect()
        client.session.shut_down()
        self.assertTrue(wire.aborted)
        self.over()

    def test_before_tls(self) -> None:
        """TLS begins behind the header; where none comes, nothing is said in the clear."""
        self.site.factory.tls, self.site.factory.implicit_tls = TokenTLS(), True
        client, wire = self.connect()
        self.assertEqual(wire.starts, [])
        client.send(HEADER)
        self.assertEqual((wire.starts, wire.clear_text), (["context"], b""))
        wire.drop()
        client, wire = self.connect()
        self.assertEqual(client.send(b"\x16\x03\x01"), b"")
        self.assertEqual((wire.aborted, wire.starts), (True, []))
        self.over()

    def test_settings_are_values(self) -> None:
        """Without the setting nobody's header is a header."""
        self.site.factory.settings = attrs.evolve(self.site.factory.settings, proxy_protocol=False)
        client, _ = self.connect()
        self.assertTrue(client.greeting.startswith(b"+OK"))
