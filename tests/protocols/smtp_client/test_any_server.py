"""Servers that say anything, in any order and however it is cut: whatever happens, each recipient has one honest outcome."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.envelope import BodyType, Envelope, Recipient, TLSNeed
from hermes.core.outcome import Result
from hermes.protocols.sasl_client import Channel, Login, begin
from hermes.protocols.sasl_login import Derivation
from hermes.protocols.smtp.client import ClientEngine
from hermes.protocols.smtp.client_events import (
    ContentWanted,
    Ended,
    Event,
    Peer,
    Refused,
    Stage,
    TLSReady,
    TransactionDone,
)
from hermes.protocols.smtp.lmtp_client import LMTPClientEngine
from hermes.protocols.smtp.transaction import Parcel

CONTENT = b"Subject: x\n\n.hello\n"

#: What a server would say that means well.
USUAL = {Stage.LOGIN: 334, Stage.DATA: 354}

CODES = st.sampled_from([220, 250, 251, 299, 334, 354, 399, 421, 450, 451, 452, 500, 502, 504, 535, 550, 552, 554])
TEXTS = st.sampled_from(
    [b"", b"ok", b"2.0.0 ok", b"4.5.3 too many", b"5.7.1", b"dGVzdA==", b"\xff\xfe", b"9.9.9 \x1b[31m"]
)
#: Most dialogues shall come somewhere.
SELDOM = st.integers(0, 15).map(lambda number: number == 15)

#: Made of text, because hypothesis compares octets with numbers, about which Python warns.
OCTETS = st.text(st.characters(max_codepoint=255), max_size=20).map(lambda text: text.encode("latin-1"))
EXTENSIONS = st.lists(
    st.sampled_from(
        [
            *(
                b"PIPELINING",
                b"8BITMIME",
                b"SIZE",
                b"SIZE 10",
                b"SIZE 99999999999999999999999",
                b"SMTPUTF8",
                b"DSN",
                b"CHUNKING",
            ),
            *(
                b"BINARYMIME",
                b"STARTTLS",
                b"AUTH PLAIN LOGIN SCRAM-SHA-256 CRAM-MD5",
                b"AUTH=LOGIN",
                b"REQUIRETLS",
                b" ",
            ),
            *(b"LIMITS RCPTMAX=1 MAILMAX=2", b"LIMITS RCPTMAX=0", b"ETRN"),
        ]
    ),
    unique=True,
)


class AnyServer:
    """An engine, and a server that is drawn as it goes on."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        make = LMTPClientEngine if draw(st.booleans()) else ClientEngine
        self.engine = make("client.example.org", Peer("mx.example.com", "192.0.2.1:25"))

    def reply(self) -> bytes:
        """What the server says next."""
        draw, stage = self.draw, self.engine.stage
        if stage is Stage.HELLO and not draw(SELDOM):
            lines = [b"mx.example.com", *draw(EXTENSIONS)]
            return b"".join(b"250%b%b\r\n" % (b" " if line is lines[-1] else b"-", line) for line in lines)
        if draw(SELDOM):
            return draw(OCTETS) + b"\r\n"
        code = draw(CODES) if draw(SELDOM) else USUAL.get(stage, 250)
        text = draw(TEXTS)
        return b"%d-%b\r\n%d %b\r\n" % (code, text, code, text) if draw(SELDOM) else b"%d %b\r\n" % (code, text)

    def event(self) -> Event:
        """The next event: there is one, however the server goes on."""
        for _ in range(100):
            event = self.engine.next_event()
            self.engine.data_to_send()
            if event is not None:
                return event
            assert not self.engine.ended, "it ended without a word"
            match self.draw(st.integers(0, 29)):
                case 28:
                    self.engine.connection_lost("it was closed by the other side")
                case 29:
                    self.engine.timed_out(300)
                case _:
                    octets = self.reply()
                    cut = self.draw(st.integers(0, len(octets)))
                    self.engine.receive(octets[:cut])
                    self.engine.receive(octets[cut:])
        raise AssertionError("there is no end of it")

    def prepare(self) -> bool:
        """Greeting, TLS and login; False when the session is of no use any more."""
        draw, engine = self.draw, self.engine
        event = self.event()
        if isinstance(event, Ended | Refused):
            return False
        if draw(SELDOM):
            engine.start_tls()
            event = self.event()
            if isinstance(event, TLSReady):
                engine.receive(b"250 what was not said inside TLS\r\n")
                engine.tls_started("TLSv1.3", verified="none")
                event = self.event()
            if isinstance(event, Ended):
                return False
        if draw(SELDOM):
            mechanism = draw(st.sampled_from(["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"]))
            engine.log_in(begin(mechanism, Login("u", "p"), Channel(nonce="abc")))
            event = self.event()
            if isinstance(event, Derivation):
                engine.derived(event, (bytes(32), bytes(32)))
                event = self.event()
        return not engine.ended

    def parcel(self) -> Parcel:
        """Some message to some people, whose addresses may not all be fit to be sent."""
        draw = self.draw
        addresses = st.sampled_from(["a@x.test", "b@y.test", "c@x.test", "d@x.test", "\u00fc@x.test", "bad\r\n@x.test"])
        recipients = draw(st.lists(st.builds(Recipient, addresses), min_size=1, max_size=5))
        envelope = Envelope(
            draw(st.sampled_from(["", "s@x.test"])),
            (),
            draw(st.sampled_from(list(BodyType))),
            tls=draw(st.sampled_from(list(TLSNeed))) if draw(SELDOM) else TLSNeed.USUAL,
        )
        return Parcel(envelope, tuple(recipients), len(CONTENT), draw(SELDOM))

    def deliver(self, parcel: Parcel) -> tuple[TransactionDone, bool]:
        """One transaction: its end, and whether all of the message has been sent."""
        engine = self.engine
        engine.begin(parcel)
        event = self.event()
        sent = False
        if isinstance(event, ContentWanted):
            engine.content(CONTENT[:5])
            if self.draw(SELDOM):
                engine.receive(self.reply())
            early = engine.next_event()
            if early is None:
                engine.content(CONTENT[5:])
                engine.end_content()
                sent = True
            event = early or self.event()
        assert isinstance(event, TransactionDone), event
        return event, sent


class AnyServerTests(SynchronousTestCase):
    """The whole dialogue."""

    @settings(max_examples=300, deadline=None)
    @given(st.data())
    def test_any_server(self, data: st.DataObject) -> None:
        """Nothing is raised, nobody is left without an outcome, and nobody was taken whose message was not sent and accepted."""
        server = AnyServer(data.draw)
        if not server.prepare():
            return
        for _ in range(3):
            if server.engine.ended:
                return
            parcel = server.parcel()
            done, sent = server.deliver(parcel)
            self.assertEqual(len(done.outcomes), len(parcel.recipients))
            for outcome in done.outcomes:
                self.assertTrue(outcome.reason.isprintable(), outcome.reason)
                if outcome.result is Result.RELAYED:
                    self.assertTrue(sent and outcome.reply is not None and outcome.reply.is_positive, outcome)
                    self.assertFalse(parcel.envelope.tls is TLSNeed.REQUIRED and parcel.envelope.reverse_path, outcome)
            left = server.engine.next_event()
            self.assertTrue(left is None or (isinstance(left, Ended) and server.engine.ended), left)
