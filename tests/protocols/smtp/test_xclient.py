"""Tests of XCLIENT, from Postfix's documentation of it, through the engine."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.reply import Reply
from hermes.protocols.smtp import events
from hermes.protocols.smtp.events import XClient
from hermes.protocols.smtp.parameters import MAX_COMMAND_OCTETS, MAX_DOMAIN_OCTETS
from hermes.protocols.smtp.xclient import parse_xclient
from tests.support.smtp_owner import Owner, ready, replayed


def front_end() -> Owner:
    """An owner whose client may say XCLIENT, and has said EHLO."""
    return ready(xclient=True, starttls=True, mechanisms_in_clear=("PLAIN",))


class AttributeTests(SynchronousTestCase):
    """What is said."""

    def said(self, argument: bytes) -> events.Event:
        """The event of a command in every cut; a refusal is 501."""
        owner = replayed(b"XCLIENT " + argument + b"\r\n", xclient=True)
        if isinstance(owner.last, events.Refused):
            self.assertEqual(owner.output[:10], b"501 5.5.4 ")
        else:
            self.assertEqual(owner.output[:4], b"220 ")
        return owner.last

    def test_attributes(self) -> None:
        """Names and the words for what is unknown are written in any case; values are xtext."""
        self.assertEqual(self.said(b"ADDR=192.0.2.9"), XClient(address="192.0.2.9"))
        self.assertEqual(self.said(b"addr=IPv6:2001:DB8::9"), XClient(address="2001:db8::9"))
        self.assertEqual(self.said(b"ADDR=2001:db8::9"), XClient(address="2001:db8::9"))
        self.assertEqual(self.said(b"HELO=a+2Eexample.com PROTO=smtp"), XClient(hello="a.example.com", protocol="SMTP"))
        self.assertEqual(self.said(b"PROTO=ESMTP  HELO=[192.0.2.9] "), XClient(hello="[192.0.2.9]", protocol="ESMTP"))
        self.assertEqual(self.said(b"ADDR=[unavailable] HELO=[TEMPUNAVAIL]"), XClient(address="", hello=""))

    def test_without_effect(self) -> None:
        """What Hermes has no use for is read all the same; LOGIN is nobody's login."""
        line = (
            b"NAME=client.example.com PORT=40000 DESTADDR=198.51.100.1 DESTPORT=25 LOGIN=joe REVERSE_NAME=[UNAVAILABLE]"
        )
        self.assertEqual(self.said(line), XClient())

    def test_malformed(self) -> None:
        """What is not an attribute, or not a value for it, is refused."""
        for argument in (
            *(b"", b"ADDR", b"=192.0.2.9", b"FOO=bar", b"ADDR 192.0.2.9"),
            *(b"ADDR=192.0.2.256", b"ADDR=client.example.com", b"ADDR=IPV6:192.0.2.9", b"ADDR=IPV6:"),
            *(b"ADDR=192.0.2.9 ADDR=192.0.2.10", b"NAME=+0A", b"NAME=+zz"),
            *(b"PROTO=LMTP", b"PROTO=[UNAVAILABLE]", b"HELO=a+20b", "NAME=é".encode()),
        ):
            self.assertIsInstance(self.said(argument), events.Refused, repr(argument))

    def test_hello(self) -> None:
        """The name is taken like that of EHLO: of 255 octets at most, and with ``?`` for what cannot be in one."""
        for octets in (MAX_DOMAIN_OCTETS - 1, MAX_DOMAIN_OCTETS):
            self.assertEqual(self.said(b"HELO=" + b"a" * octets), XClient(hello="a" * octets))
        self.assertIsInstance(self.said(b"HELO=" + b"a" * (MAX_DOMAIN_OCTETS + 1)), events.Refused)
        self.assertEqual(parse_xclient("HELO=a(b)"), XClient(hello="a?b?"))

    def test_line_length(self) -> None:
        """A line is as long as any command's may be."""
        beginning = b"XCLIENT NAME="
        for octets, code in ((MAX_COMMAND_OCTETS, b"220"), (MAX_COMMAND_OCTETS + 1, b"500")):
            line = beginning.ljust(octets - 2, b"x") + b"\r\n"
            self.assertEqual(front_end().receive(line)[:3], code)


class SequenceTests(SynchronousTestCase):
    """When it may be said, and what it changes."""

    def test_announced(self) -> None:
        """EHLO names the attributes, to front ends alone."""
        keywords = [line[4:] for line in Owner(xclient=True).lines(b"EHLO x")]
        self.assertIn(b"XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT", keywords)
        self.assertNotIn(b"XCLIENT", b"".join(Owner().lines(b"EHLO x")))

    def test_strangers(self) -> None:
        """For everybody else there is no such command."""
        owner = ready()
        self.assertEqual(owner.lines(b"XCLIENT ADDR=192.0.2.9"), [b"500 5.5.2 Command unknown"])
        self.assertEqual(owner.engine.hello_name, "client.example.com")

    def test_at_any_time(self) -> None:
        """It may come before EHLO, but not within a transaction."""
        self.assertEqual(Owner(xclient=True).lines(b"XCLIENT ADDR=192.0.2.9")[0][:4], b"220 ")
        owner = front_end()
        owner.lines(b"MAIL FROM:<a@example.com>")
        self.assertEqual(owner.lines(b"XCLIENT ADDR=192.0.2.9")[0][:10], b"503 5.5.1 ")
        self.assertTrue(owner.engine.in_transaction)

    def test_everything_is_forgotten(self) -> None:
        """The session is at its greeting again: neither name nor login stays."""
        owner = front_end()
        owner.lines(b"AUTH PLAIN AHRpbQBzZWNyZXQ=")
        self.assertTrue(owner.engine.authenticated)
        self.assertEqual(owner.lines(b"XCLIENT ADDR=192.0.2.9"), [b"220 mx.example.org greets you"])
        self.assertEqual((owner.engine.authenticated, owner.engine.hello_name), (False, ""))
        self.assertEqual(owner.lines(b"MAIL FROM:<>")[0][:4], b"503 ")
        self.assertIn(b"250 XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT", owner.lines(b"EHLO y"))

    def test_nothing_survives_in_the_buffer(self) -> None:
        """What came in behind it is thrown away: it was not said by the client that is spoken for now."""
        owner = front_end()
        owner.receive(b"XCLIENT ADDR=192.0.2.9\r\nEHLO evil.example.com\r\nNO")
        self.assertEqual(owner.engine.hello_name, "")
        self.assertEqual(owner.lines(b"OP")[0][:4], b"500 ")

    def test_tls_stays(self) -> None:
        """TLS is the front end's, and goes on."""
        owner = front_end()
        owner.lines(b"STARTTLS")
        owner.lines(b"EHLO x")
        owner.lines(b"XCLIENT ADDR=192.0.2.9")
        self.assertTrue(owner.engine.tls_active)

    def test_name(self) -> None:
        """The name that it tells stands, whatever EHLO says, until it tells another, or that there is none."""
        owner = front_end()
        for said, name in (
            (b"HELO=a.example.com", "a.example.com"),
            (b"ADDR=192.0.2.9", "a.example.com"),
            (b"HELO=b.example.com", "b.example.com"),
            (b"HELO=[UNAVAILABLE]", "filter.example.org"),
        ):
            owner.lines(b"XCLIENT " + said)
            owner.lines(b"EHLO filter.example.org")
            self.assertEqual(owner.engine.hello_name, name)

    def test_protocol(self) -> None:
        """The protocol that it tells is that of Received:, whether the front end says HELO or EHLO."""
        owner = front_end()
        for said, keyword in ((b"PROTO=SMTP", "SMTP"), (b"ADDR=192.0.2.9", "SMTP"), (b"PROTO=ESMTP", "ESMTP")):
            owner.lines(b"XCLIENT " + said)
            for verb in (b"HELO", b"EHLO"):
                owner.lines(verb + b" x")
                self.assertEqual(owner.engine.protocol_keyword, keyword)

    def test_refused(self) -> None:
        """Where the owner refuses, everything stays; where it says 421, the session ends."""
        owner = front_end()
        owner.engine.receive(b"XCLIENT ADDR=192.0.2.9 HELO=a.example.com\r\n")
        self.assertIsInstance(owner.engine.next_event(), XClient)
        owner.engine.reply(Reply.of(451, "4.3.0", "Later"))
        self.assertEqual(owner.engine.hello_name, "client.example.com")
        owner.engine.receive(b"XCLIENT ADDR=192.0.2.9\r\n")
        owner.engine.next_event()
        owner.engine.reply(Reply.of(421, "4.7.0", "Too many"))
        self.assertTrue(owner.engine.closing)

    def test_nothing_to_accept(self) -> None:
        """A client is accepted when one was told of, and not otherwise."""
        with self.assertRaises(RuntimeError):
            front_end().engine.accept_client("x")
