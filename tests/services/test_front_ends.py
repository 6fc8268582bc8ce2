"""Sessions behind a load balancer or a filter: who the peer is, and what follows from that."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.event import Kind
from hermes.core.outcome import Verdict
from hermes.core.reply import Reply
from hermes.protocols.smtp.events import Flavor
from hermes.services.front_end import HEADER_SECONDS
from tests.support.smtp_site import Client, Site, codes, plain

FRONT_END, CLIENT, STRANGER = "127.0.0.1", "192.0.2.9", "198.51.100.7"
NETWORKS = (ip_network("127.0.0.0/8"), ip_network("203.0.113.1/32"))

HEADER = f"PROXY TCP4 {CLIENT} 198.51.100.1 40000 25\r\n".encode()

ENVELOPE = ("MAIL FROM:<a@example.com>", "RCPT TO:<alice@example.org>")

BUSY = Verdict(Reply.of(421, "4.7.0", "Too many"), "limits.rate")
BARRED = Verdict(Reply.of(554, "5.7.1", "Not you"), "access.everybody")


class FrontEndTests(SynchronousTestCase):
    """A site with front ends, and what is looked at."""

    def site(self, **settings: Any) -> Site:
        """A site; its front ends are this machine and one other."""
        return Site(front_ends=NETWORKS, **settings)

    def receive(self, client: Client) -> Mapping[str, object]:
        """Send a message, and return what the trace has of it."""
        replies = client.say("EHLO filter.example.org", *ENVELOPE, "DATA", "Subject: x\r\n\r\ntext\r\n.")
        self.assertEqual(codes(replies), ["250", "250", "250", "354", "250"])
        return client.site.spool.committed[-1].facts

    def over(self, client: Client) -> None:
        """The session ends, and nothing of it stays."""
        client.leave()
        self.assertEqual((client.site.gate.present, client.site.factory.sessions), ([], set()))
        self.assertEqual(client.site.clock.getDelayedCalls(), [])


class ProxyTests(FrontEndTests):
    """The header of the PROXY protocol."""

    def site(self, **settings: Any) -> Site:
        """A site whose front ends send the header."""
        return super().site(proxy_protocol=True, **settings)

    def test_client(self) -> None:
        """The header comes before the greeting and before the gate; then the peer is the client."""
        site = self.site()
        client = site.connect(FRONT_END, None)
        self.assertEqual((client.heard(), site.gate.present), ([], []))
        self.assertEqual(client.session.describe()["state"], "header")
        for position in range(len(HEADER) - 1):
            self.assertEqual(client.send(HEADER[position : position + 1]), [])
        self.assertEqual(client.send(HEADER[-1:]), ["220 mx.example.org ESMTP Hermes"])
        self.assertEqual(site.gate.present, [CLIENT])
        facts = self.receive(client)
        self.assertEqual((facts["peer"], facts["via"]), (CLIENT, FRONT_END))
        self.assertIn(f"[{CLIENT}]", site.spool.committed[0].text)
        described = client.session.describe()
        self.assertEqual((described["peer"], described["via"]), (CLIENT, FRONT_END))
        self.over(client)

    def test_octets_behind_the_header(self) -> None:
        """A client that talks at once is heard, whatever piece its words come in."""
        client = self.site().connect(FRONT_END, None)
        self.assertEqual(codes(client.send(HEADER + b"EHLO x\r\nNOOP\r\n")), ["220", "250", "250"])

    def test_mapped_address(self) -> None:
        """An IPv4 address in the clothes of IPv6 is that IPv4 address."""
        client = self.site().connect(FRONT_END, None)
        client.send(f"PROXY TCP6 ::ffff:{CLIENT} ::1 40000 25\r\n".encode())
        self.assertEqual(client.session.peer, CLIENT)

    def test_own_connection(self) -> None:
        """What a front end opens for itself is its own."""
        client = self.site().connect(FRONT_END, None)
        self.assertEqual(codes(client.send(b"PROXY UNKNOWN\r\n")), ["220"])
        facts = self.receive(client)
        self.assertEqual((facts["peer"], "via" in facts), (FRONT_END, False))
        self.over(client)

    def test_no_header(self) -> None:
        """A front end that begins otherwise is not served, and that is in the trace."""
        site = self.site()
        client = site.connect(FRONT_END, None)
        self.assertEqual(
            client.send(b"EHLO x\r\nMAIL FROM:<>\r\n"), ["421 4.7.0 A front end must begin with a PROXY header"]
        )
        self.assertTrue(client.wire.disconnecting)
        self.assertEqual(client.send(b"NOOP\r\n"), [])
        (event,) = site.journal.events
        self.assertEqual((event.facts["rule"], event.facts["peer"]), ("proxy.header", FRONT_END))
        self.over(client)

    def test_silence(self) -> None:
        """A header is not waited for longer than its time."""
        site = self.site()
        client = site.connect(FRONT_END, None)
        client.send(HEADER[:10])
        site.clock.advance(HEADER_SECONDS - 1)
        self.assertEqual(client.heard(), [])
        site.clock.advance(1)
        self.assertEqual(codes(client.heard()), ["421"])
        self.assertEqual(site.journal.refusals(), [("proxy.timeout", "")])
        self.over(client)

    def test_read_late(self) -> None:
        """A server that had no time to read what has come reads it before it takes the time to be over."""
        site = self.site()
        client = site.connect(FRONT_END, None)
        # The timer is served before the sockets.
        (timer,) = site.clock.getDelayedCalls()
        timer.func()
        timer.cancel()
        self.assertEqual(codes(client.send(HEADER)), ["220"])
        site.clock.advance(HEADER_SECONDS)
        self.assertEqual(codes(client.say("EHLO x")), ["250"])

    def test_in_time(self) -> None:
        """A header just in time is one, and the time is not counted any more."""
        site = self.site()
        client = site.connect(FRONT_END, None)
        site.clock.advance(HEADER_SECONDS - 1)
        client.send(HEADER)
        site.clock.advance(HEADER_SECONDS)
        self.assertEqual(codes(client.say("EHLO x")), ["250"])

    def test_strangers(self) -> None:
        """Everybody else is greeted at once, and PROXY is no command."""
        site = self.site()
        client = site.connect(STRANGER, None)
        self.assertEqual(codes(client.heard()), ["220"])
        self.assertEqual(client.send(HEADER), ["500 5.5.2 Command unknown"])
        self.assertEqual((client.session.peer, site.gate.present), (STRANGER, [STRANGER]))

    def test_not_asked_for(self) -> None:
        """Without the setting nobody's header is a header."""
        client = super().site().connect(FRONT_END, None)
        self.assertEqual(codes(client.heard()), ["220"])
        self.assertEqual(client.send(HEADER), ["500 5.5.2 Command unknown"])

    def test_lmtp(self) -> None:
        """LMTP has no front ends."""
        client = self.site(flavor=Flavor.LMTP).connect(FRONT_END, None)
        self.assertEqual(codes(client.heard()), ["220"])

    def test_refused_by_the_gate(self) -> None:
        """The gate judges the client, and it hears so."""
        site = self.site()
        site.gate.admission = BUSY
        client = site.connect(FRONT_END, None)
        self.assertEqual(client.send(HEADER), ["421 4.7.0 Too many"])
        (event,) = site.journal.events
        self.assertEqual((event.facts["peer"], event.facts["via"]), (CLIENT, FRONT_END))
        self.over(client)

    def test_not_allowed(self) -> None:
        """A client that may not connect is waited for until QUIT, also when it has said it at once (RFC 5321 3.1)."""
        site = self.site()
        site.gate.admission = BARRED
        client = site.connect(FRONT_END, None)
        self.assertEqual(codes(client.send(HEADER + b"QUIT\r\n")), ["554", "221"])
        self.over(client)

    def test_counted_while_waiting(self) -> None:
        """A connection whose header has not come is counted as one; then its client is, and never both."""
        site = self.site()
        client = site.connect(FRONT_END, None)
        self.assertEqual((site.gate.nameless, site.gate.present), (1, []))
        client.send(HEADER)
        self.assertEqual((site.gate.nameless, site.gate.present), (0, [CLIENT]))
        self.over(client)

    def test_counted_until_it_fails(self) -> None:
        """Nothing stays counted of a connection whose header is wrong, late, or never comes."""
        for end in (
            lambda client: client.send(b"EHLO x\r\n"),
            lambda client: client.site.clock.advance(HEADER_SECONDS),
            lambda client: client.leave(),
        ):
            client = self.site().connect(FRONT_END, None)
            self.assertEqual(client.site.gate.nameless, 1)
            end(client)
            self.assertEqual(client.site.gate.nameless, 0)

    def test_no_room_for_one_more(self) -> None:
        """When there are too many connections altogether, a front end hears so before it has sent its header."""
        site = self.site()
        site.gate.expectation = BUSY
        client = site.connect(FRONT_END, None)
        self.assertEqual(client.heard(), ["421 4.7.0 Too many"])
        self.assertTrue(client.wire.disconnecting)
        self.assertEqual(client.send(HEADER + b"EHLO x\r\n"), [])
        self.assertEqual(site.gate.nameless, 0)
        self.over(client)

    def test_gone_before_the_header(self) -> None:
        """A front end that leaves leaves nothing."""
        client = self.site().connect(FRONT_END, None)
        self.over(client)

    def test_shut_down(self) -> None:
        """The server's end does not wait for a header."""
        client = self.site().connect(FRONT_END, None)
        client.session.shut_down()
        self.assertTrue(client.wire.aborted)
        self.over(client)

    def test_before_tls(self) -> None:
        """TLS begins behind the header, and what came with it is TLS's."""
        site = self.site(implicit_tls=True)
        client = site.connect(FRONT_END, None)
        self.assertEqual(client.wire.tls, [])
        client.send(HEADER)
        self.assertEqual((len(client.wire.tls), client.wire.before_tls), (1, b""))

    def test_no_header_before_tls(self) -> None:
        """Where TLS was to come first nothing is said in the clear."""
        site = self.site(implicit_tls=True)
        client = site.connect(FRONT_END, None)
        self.assertEqual(client.send(b"\x16\x03\x01"), [])
        self.assertEqual((client.wire.aborted, client.wire.tls), (True, []))
        self.over(client)


class XClientTests(FrontEndTests):
    """XCLIENT."""

    def connect(self, site: Site, said: str = f"ADDR={CLIENT}", peer: str = FRONT_END) -> Client:
        """A front end that has said who its client is."""
        client = site.connect(peer)
        self.assertEqual(client.say(f"XCLIENT {said}"), ["220 mx.example.org ESMTP Hermes"])
        return client

    def test_client(self) -> None:
        """The peer is the client, for the gate, the trace and the header alike."""
        site = self.site()
        client = self.connect(site, f"ADDR={CLIENT} HELO=client.example.com PROTO=SMTP")
        self.assertEqual(site.gate.present, [CLIENT])
        facts = self.receive(client)
        self.assertEqual((facts["peer"], facts["via"], facts["hello"]), (CLIENT, FRONT_END, "client.example.com"))
        text = site.spool.committed[0].text.replace("\n\t", " ")
        self.assertIn(f"from client.example.com ([{CLIENT}]) by mx.example.org with SMTP id", text)
        self.over(client)

    def test_one_after_the_other(self) -> None:
        """A front end may keep its connection for one client after the other; each is counted while it is there."""
        site = self.site()
        client = self.connect(site)
        self.receive(client)
        client.say("XCLIENT ADDR=IPV6:2001:db8::9", "EHLO x")
        self.assertEqual(site.gate.present, ["2001:db8::9"])
        facts = self.receive(client)
        self.assertEqual((facts["peer"], facts["via"]), ("2001:db8::9", FRONT_END))
        self.over(client)

    def test_errors(self) -> None:
        """What one client does wrong does not end the session for the next, and each has its own limit."""
        client = self.connect(self.site(max_errors=3))
        for number in range(1, 4):
            self.assertEqual(codes(client.say("XXXX", "XXXX")), ["500", "500"])
            client.say(f"XCLIENT ADDR=192.0.2.{number}")
        self.assertEqual(codes(client.say("XXXX", "XXXX", "XXXX")), ["500", "500", "421"])

    def test_without_address(self) -> None:
        """Without an address the peer stays who it was."""
        site = self.site()
        client = self.connect(site)
        client.say("XCLIENT HELO=client.example.com")
        self.assertEqual((client.session.peer, site.gate.present), (CLIENT, [CLIENT]))

    def test_unknown_address(self) -> None:
        """A client whose address is not known is not the front end: it has none of its rights."""
        site = self.site(relay_networks=NETWORKS)
        client = self.connect(site, "ADDR=[UNAVAILABLE]")
        client.say("EHLO x")
        self.assertEqual(codes(client.say("MAIL FROM:<a@example.com>", "RCPT TO:<b@example.com>")), ["250", "550"])
        self.assertEqual(site.gate.present, ["unknown"])
        client.say("RSET")
        self.receive(client)
        self.assertIn("(unknown)", site.spool.committed[0].text)

    def test_relaying(self) -> None:
        """Who may relay is asked of the client: neither does the front end lend its right, nor take the client's."""
        for networks, expected in ((NETWORKS, "550"), ((ip_network("192.0.2.0/24"),), "250")):
            client = self.connect(self.site(relay_networks=networks))
            client.say("EHLO x", "MAIL FROM:<a@example.com>")
            self.assertEqual(codes(client.say("RCPT TO:<b@example.com>")), [expected])

    def test_loopback(self) -> None:
        """What is allowed on this machine alone is not allowed to those who come through it."""
        site = self.site(auth_without_tls="loopback", tls=False)
        client = site.connect(FRONT_END, None)
        self.assertIn("AUTH PLAIN LOGIN", " ".join(client.say("EHLO x")))
        client.say(f"XCLIENT ADDR={CLIENT}")
        self.assertNotIn("AUTH", " ".join(client.say("EHLO x")))
        self.assertEqual(codes(client.say(f"AUTH PLAIN {plain()}")), ["504"])

    def test_login_is_over(self) -> None:
        """A login ends with XCLIENT, and LOGIN begins none."""
        site = self.site(auth_without_tls="loopback", tls=False, flavor=Flavor.SUBMISSION)
        client = site.connect(FRONT_END)
        self.assertEqual(codes(client.say(f"AUTH PLAIN {plain()}")), ["235"])
        for said in (f"ADDR={CLIENT}", "LOGIN=alice"):
            client.say(f"XCLIENT {said}", "EHLO x")
            self.assertEqual(client.session.describe()["account"], "")
            self.assertEqual(codes(client.say("EHLO x", "MAIL FROM:<alice@example.org>")), ["250", "530"])
        self.assertEqual(site.realm.present, 0)

    def test_nobody_for_the_checks(self) -> None:
        """Neither do the checks know an account any more, whatever XCLIENT says."""
        for said in ("HELO=client.example.com", f"ADDR={CLIENT}"):
            client = self.site(auth_without_tls="loopback", tls=False).connect(FRONT_END)
            client.say(f"AUTH PLAIN {plain()}")
            self.assertIsNotNone(client.session._checks.visit.account)
            client.say(f"XCLIENT {said}")
            self.assertIsNone(client.session._checks.visit.account)

    def test_wrong_password(self) -> None:
        """A wrong password is the client's, who is kept from guessing; the front end is not."""
        site = self.site(auth_without_tls="loopback", tls=False)
        client = self.connect(site, "ADDR=127.0.0.9")
        client.say("EHLO x", f"AUTH PLAIN {plain(password='wrong')}")
        self.assertEqual(site.gate.failures, ["127.0.0.9"])
        (event,) = [event for event in site.journal.events if event.kind is Kind.LOGIN]
        self.assertEqual((event.facts["peer"], event.facts["via"]), ("127.0.0.9", FRONT_END))

    def test_refused_by_the_gate(self) -> None:
        """A client of whom there are too many is refused, with the session; nobody is counted twice or stays counted."""
        for refusal in (BUSY, BARRED):
            site = self.site()
            client = site.connect(FRONT_END)
            site.gate.admission = refusal
            self.assertEqual(client.say(f"XCLIENT ADDR={CLIENT}", "MAIL FROM:<a@example.com>"), [str(refusal.reply)])
            self.assertTrue(client.wire.disconnecting)
            self.assertEqual(site.gate.present, [])
            (event,) = site.journal.events
            facts = event.facts
            self.assertEqual((facts["command"], facts["peer"], facts["via"]), ("XCLIENT", CLIENT, FRONT_END))
            self.over(client)

    def test_strangers(self) -> None:
        """Nobody else is believed, nor is LMTP."""
        for client in (self.site().connect(STRANGER), Site().connect(FRONT_END)):
            self.assertNotIn("XCLIENT", " ".join(client.say("EHLO x")))
            self.assertEqual(client.say(f"XCLIENT ADDR={CLIENT}"), ["500 5.5.2 Command unknown"])
            self.assertNotEqual(client.session.peer, CLIENT)
        client = self.site(flavor=Flavor.LMTP).connect(FRONT_END, "LHLO x")
        self.assertEqual(codes(client.say(f"XCLIENT ADDR={CLIENT}")), ["500"])

    def test_behind_a_load_balancer(self) -> None:
        """Whoever comes by PROXY is believed if he is a front end himself; a client is not."""
        site = self.site(proxy_protocol=True)
        client = site.connect(FRONT_END, None)
        client.send(b"PROXY TCP4 203.0.113.1 198.51.100.1 40000 25\r\n")
        client.say(f"XCLIENT ADDR={CLIENT}")
        self.assertEqual((client.session.peer, client.session.via), (CLIENT, FRONT_END))
        client = site.connect(FRONT_END, None)
        client.send(HEADER)
        self.assertEqual(codes(client.say(f"XCLIENT ADDR={STRANGER}")), ["500"])
        self.assertEqual(client.session.peer, CLIENT)
