"""The POP3 client's engine: dialogues, and servers that do anything else (RFC 1939, 2449, 2595, 5034)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols import sasl_client
from hermes.protocols.pop3 import client
from hermes.protocols.pop3.client import ClientEngine
from hermes.protocols.pop3.client_events import (
    Answer,
    Ended,
    Event,
    Greeting,
    Listing,
    MessageEnd,
    Piece,
    Verb,
)
from hermes.protocols.pop3.offer import Offer, offer_of
from hermes.protocols.sasl_login import Channel, Derivation, Login
from tests.support.engines import replay

CAPABLE = b"+OK\r\nUIDL\r\nTOP\r\nPIPELINING\r\nSTLS\r\nSASL PLAIN XOAUTH2\r\nLOGIN-DELAY 30\r\n.\r\n"

Step = Callable[[ClientEngine], None] | bytes


def events_of(engine: ClientEngine) -> list[Event]:
    """All that it has to say now, with the pieces of a message put together."""
    events: list[Event] = []
    while (event := engine.next_event()) is not None:
        if isinstance(event, Piece) and events and isinstance(events[-1], Piece):
            events[-1] = Piece(events[-1].octets + event.octets)
        else:
            events.append(event)
    return events


def talk(*steps: Step) -> tuple[list[Event], bytes]:
    """Feed a fresh engine with octets, and ask it for things; what it says, and what it sends. Cuts change nothing."""

    def run(pieces: list[bytes]) -> tuple[list[Event], bytes]:
        engine, events, sent = ClientEngine(), [], b""
        whole = len(pieces) == 1
        for step in steps:
            if callable(step):
                step(engine)
            elif whole:
                engine.receive(step)
            else:
                for octet in step:
                    engine.receive(bytes([octet]))
                    events += events_of(engine)
            events += events_of(engine)
            sent += engine.data_to_send()
        joined: list[Event] = []
        for event in events:
            if isinstance(event, Piece) and joined and isinstance(joined[-1], Piece):
                joined[-1] = Piece(joined[-1].octets + event.octets)
            else:
                joined.append(event)
        return joined, sent

    result: tuple[list[Event], bytes] = replay(b"xx", run)
    return result


class DialogueTests(SynchronousTestCase):
    """What goes over the wire, and what is made of it."""

    def test_session(self) -> None:
        """RFC 1939 10: log in, list, fetch, delete, leave."""
        events, sent = talk(
            b"+OK POP3 ready <1896.697170952@dbc.example.net>\r\n",
            lambda engine: engine.user("mrose"),
            b"+OK\r\n",
            lambda engine: engine.password("tan staaf"),
            b"+OK mrose's maildrop has 2 messages (320 octets)\r\n",
            ClientEngine.sizes,
            b"+OK 2 messages\r\n1 120\r\n2 200\r\n.\r\n",
            ClientEngine.unique_ids,
            b"+OK\r\n1 whqtswO00WBw418f9t5JxYwZ\r\n2 QhdPYR:00WBw1Ph7x7\r\n.\r\n",
            lambda engine: engine.retrieve(1, 20),
            b"+OK 20 octets\r\nSubject: a\r\n\r\ntext\r\n.\r\n",
            lambda engine: engine.top(2),
            b"+OK\r\nSubject: b\r\n\r\n.\r\n",
            lambda engine: engine.delete(1),
            b"+OK message 1 deleted\r\n",
            ClientEngine.quit,
            b"+OK dewey POP3 server signing off\r\n",
        )
        self.assertEqual(
            sent,
            b"USER mrose\r\nPASS tan staaf\r\nLIST\r\nUIDL\r\nRETR 1\r\nTOP 2 0\r\nDELE 1\r\nQUIT\r\n",
        )
        self.assertEqual(
            events,
            [
                Greeting("<1896.697170952@dbc.example.net>"),
                Answer(Verb.USER, True),
                Answer(Verb.PASS, True, "mrose's maildrop has 2 messages (320 octets)"),
                Listing(Verb.LIST, {1: "120", 2: "200"}),
                Listing(Verb.UIDL, {1: "whqtswO00WBw418f9t5JxYwZ", 2: "QhdPYR:00WBw1Ph7x7"}),
                Piece(b"Subject: a\n\ntext\n"),
                MessageEnd(Verb.RETR, 20),
                Piece(b"Subject: b\n\n"),
                MessageEnd(Verb.TOP, 14),
                Answer(Verb.DELE, True, "message 1 deleted"),
                Answer(Verb.QUIT, True, "dewey POP3 server signing off"),
                Ended(""),
            ],
        )

    def test_apop(self) -> None:
        """RFC 1939 7: its own example, to the digit."""
        _, sent = talk(
            b"+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>\r\n",
            lambda engine: engine.apop("mrose", "tanstaaf"),
        )
        self.assertEqual(sent, b"APOP mrose c4c9334bac560ecc979e58001b3e22fb\r\n")
        self.assertEqual(
            hashlib.md5(b"<1896.697170952@dbc.mtview.ca.us>tanstaaf").hexdigest(), "c4c9334bac560ecc979e58001b3e22fb"
        )

    def test_commands_wait_for_the_greeting(self) -> None:
        """Nothing is sent before the server has spoken."""
        engine = ClientEngine()
        engine.capabilities()
        self.assertEqual(engine.data_to_send(), b"")
        engine.receive(b"+OK\r\n")
        self.assertEqual(events_of(engine), [Greeting()])
        self.assertEqual(engine.data_to_send(), b"CAPA\r\n")

    def test_offer(self) -> None:
        """RFC 2449 5: what the server can do; nothing where it does not know CAPA."""
        engine = ClientEngine()
        engine.receive(b"+OK\r\n")
        engine.capabilities()
        events_of(engine)
        engine.receive(CAPABLE)
        self.assertEqual(events_of(engine), [Answer(Verb.CAPA, True)])
        self.assertEqual(engine.offer, Offer(True, True, True, True, True, ("PLAIN", "XOAUTH2"), 30))
        engine.capabilities()
        engine.receive(b"-ERR what?\r\n")
        self.assertEqual(events_of(engine), [Answer(Verb.CAPA, False, "what?")])
        self.assertEqual(engine.offer, Offer())
        self.assertEqual(offer_of(["LOGIN-DELAY", "LOGIN-DELAY x", ""]), Offer(known=True))
        self.assertEqual(offer_of(["LOGIN-DELAY 99999999"]).delay_seconds, 0)

    def test_stls(self) -> None:
        """RFC 2595 4: what came in the clear behind the answer was never said, nor what was offered before."""
        engine = ClientEngine()
        engine.receive(b"+OK\r\n")
        engine.capabilities()
        events_of(engine)
        engine.receive(CAPABLE)
        events_of(engine)
        engine.start_tls()
        engine.receive(b"+OK begin\r\n+OK injected\r\n")
        self.assertEqual(engine.next_event(), Answer(Verb.STLS, True, "begin"))
        engine.tls_started()
        self.assertEqual(engine.offer, Offer())
        engine.user("joe")
        self.assertFalse(engine.ended)
        engine.receive(b"-ERR no\r\n")
        self.assertEqual(events_of(engine), [Answer(Verb.USER, False, "no")])

    def test_response_codes(self) -> None:
        """RFC 2449 8, RFC 3206: what a refusal is about."""
        events, _ = talk(b"+OK\r\n", lambda engine: engine.password("x"), b"-ERR [sys/temp] later\r\n")
        self.assertEqual(events[-1], Answer(Verb.PASS, False, "[sys/temp] later", "SYS/TEMP"))

    def test_greeting_refused(self) -> None:
        """A server that does not want us says so, or not even that."""
        self.assertEqual(talk(b"-ERR too busy\r\n")[0], [Greeting(refusal="too busy")])
        self.assertEqual(talk(b"-ERR\r\n")[0], [Greeting(refusal="it does not want us")])
        self.assertEqual(talk(b"220 mail ESMTP\r\n")[0], [Ended("it does not speak POP3")])

    def test_no_line_end_in_commands(self) -> None:
        """A name that holds a line end would be another command."""
        with self.assertRaises(ValueError):
            ClientEngine().user("joe\r\nDELE 1")


class PipeliningTests(SynchronousTestCase):
    """RFC 2449 6.6."""

    def engine(self, offer: bytes) -> ClientEngine:
        """One that has asked what the server can do."""
        engine = ClientEngine()
        engine.receive(b"+OK\r\n")
        engine.capabilities()
        events_of(engine)
        engine.data_to_send()
        engine.receive(offer)
        events_of(engine)
        return engine

    def test_together(self) -> None:
        """Where it is announced, commands go out together, and so many at a time."""
        engine = self.engine(CAPABLE)
        for number in range(1, client.MAX_UNDER_WAY + 3):
            engine.delete(number)
        self.assertEqual(engine.data_to_send().count(b"\r\n"), client.MAX_UNDER_WAY)
        engine.receive(b"+OK\r\n+OK\r\n")
        self.assertEqual(len(events_of(engine)), 2)
        self.assertEqual(engine.data_to_send().count(b"\r\n"), 2)

    def test_one_by_one(self) -> None:
        """Where it is not, each waits for the answer to the one before, listings and messages too."""
        engine = self.engine(b"-ERR\r\n")
        engine.retrieve(1)
        engine.sizes()
        engine.delete(1)
        for sent, answer in (
            (b"RETR 1\r\n", b"+OK\r\nx\r\n.\r\n"),
            (b"LIST\r\n", b"+OK\r\n.\r\n"),
            (b"DELE 1\r\n", b"-ERR no\r\n"),
        ):
            self.assertEqual(engine.data_to_send(), sent)
            engine.receive(answer)
            events_of(engine)
        self.assertEqual(engine.data_to_send(), b"")

    def test_answers_in_one_piece(self) -> None:
        """Many answers may come at once; their events keep their order."""
        engine = self.engine(CAPABLE)
        engine.retrieve(1, 3)
        engine.retrieve(2)
        engine.delete(1)
        engine.receive(b"+OK\r\na\r\n.\r\n-ERR gone\r\n+OK\r\n")
        self.assertEqual(
            events_of(engine),
            [
                Piece(b"a\n"),
                MessageEnd(Verb.RETR, 3),
                Answer(Verb.RETR, False, "gone"),
                Answer(Verb.DELE, True),
            ],
        )


class SASLTests(SynchronousTestCase):
    """RFC 5034."""

    def start(self, mechanism: str, **login: str) -> ClientEngine:
        """An engine that has sent AUTH."""
        engine = ClientEngine()
        engine.receive(b"+OK\r\n")
        events_of(engine)
        exchange = sasl_client.begin(
            mechanism, Login(**{"username": "tim", **login}), Channel(private=True, nonce="rOprNGfwEbeRWgbNEkqO")
        )
        engine.authenticate(exchange)
        self.assertEqual(engine.data_to_send(), f"AUTH {mechanism}\r\n".encode())
        return engine

    def say(self, engine: ClientEngine, line: bytes) -> bytes:
        """A line of the server; what is answered."""
        engine.receive(line)
        self.events = events_of(engine)
        return engine.data_to_send()

    def test_plain(self) -> None:
        """What is sent first is sent when the server asks for it, never with the command."""
        engine = self.start("PLAIN", password="tanstaaf")
        self.assertEqual(self.say(engine, b"+ \r\n"), base64.b64encode(b"\0tim\0tanstaaf") + b"\r\n")
        self.assertEqual(self.say(engine, b"+OK maildrop locked and ready\r\n"), b"")
        self.assertEqual(self.events, [Answer(Verb.AUTH, True, "maildrop locked and ready")])

    def test_xoauth2_refused(self) -> None:
        """AUTH XOAUTH2 alone, then the string; a refusal is a challenge with JSON, is acknowledged, and told with its status."""
        engine = self.start("XOAUTH2", token="abc")
        self.assertEqual(base64.b64decode(self.say(engine, b"+\r\n")), b"user=tim\x01auth=Bearer abc\x01\x01")
        challenge = base64.b64encode(b'{"status":"401"}')
        self.assertEqual(self.say(engine, b"+ " + challenge + b"\r\n"), b"\r\n")
        self.say(engine, b"-ERR [AUTH] no\r\n")
        (answer,) = self.events
        assert isinstance(answer, Answer)
        self.assertEqual((answer.ok, answer.code), (False, "AUTH"))
        self.assertIn("the token was refused with status 401", answer.text)

    def test_cram_md5(self) -> None:
        """RFC 2195 2, its own example: the server speaks first."""
        engine = self.start("CRAM-MD5", password="tanstaaftanstaaf")
        challenge = base64.b64encode(b"<1896.697170952@postoffice.reston.mci.net>")
        answer = base64.b64decode(self.say(engine, b"+ " + challenge + b"\r\n"))
        self.assertEqual(answer, b"tim b913a602c7eda7a495b4e6e7334d3890")

    def test_called_off(self) -> None:
        """RFC 5034 4: what is no base64, or a question too many, is answered with a star."""
        engine = self.start("PLAIN", password="x")
        self.assertEqual(self.say(engine, b"+ !!!\r\n"), b"*\r\n")
        engine = self.start("PLAIN", password="x")
        self.say(engine, b"+ \r\n")
        self.assertEqual(self.say(engine, b"+ eA==\r\n"), b"*\r\n")

    def test_scram(self) -> None:
        """The example of RFC 7677 3: the proof is sent when it has been computed, and the server proves itself in turn."""
        engine = self.start("SCRAM-SHA-256", username="user", password="pencil")
        self.assertEqual(base64.b64decode(self.say(engine, b"+ \r\n")), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
        first = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        self.assertEqual(self.say(engine, b"+ " + base64.b64encode(first) + b"\r\n"), b"")
        (wanted,) = self.events
        assert isinstance(wanted, Derivation)
        engine.derived(wanted, wanted.keys())
        proof = base64.b64decode(engine.data_to_send())
        self.assertTrue(proof.endswith(b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), proof)
        final = base64.b64encode(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
        self.assertEqual(self.say(engine, b"+ " + final + b"\r\n"), b"\r\n")
        self.say(engine, b"+OK in\r\n")
        self.assertEqual(self.events, [Answer(Verb.AUTH, True, "in")])

    def test_gone_meanwhile(self) -> None:
        """A server that is gone when the proof has been computed is sent nothing."""
        engine = self.start("SCRAM-SHA-256", username="user", password="pencil")
        self.say(engine, b"+ \r\n")
        first = b"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        self.say(engine, b"+ " + base64.b64encode(first) + b"\r\n")
        (wanted,) = self.events
        assert isinstance(wanted, Derivation)
        engine.connection_lost("it is gone")
        self.assertEqual(events_of(engine), [Ended("it is gone")])
        engine.derived(wanted, wanted.keys())
        self.assertEqual(engine.data_to_send(), b"")

    def test_not_believed(self) -> None:
        """A server that lets us in without having proved what SCRAM makes it prove is not believed."""
        engine = self.start("SCRAM-SHA-256", password="x")
        self.say(engine, b"+OK come in\r\n")
        (answer,) = self.events
        assert isinstance(answer, Answer)
        self.assertFalse(answer.ok)
        self.assertIn("is not believed", answer.text)


class HostileTests(SynchronousTestCase):
    """Servers that do anything."""

    def ended(self, *steps: Step) -> str:
        """The reason why it ended."""
        event = talk(*steps)[0][-1]
        assert isinstance(event, Ended), event
        return event.reason

    def test_answer_before_the_question(self) -> None:
        """An answer that was there before its question is none, nor is one that nobody asked for."""
        self.assertIn("nobody has asked for", self.ended(b"+OK\r\n+OK\r\n"))
        engine = ClientEngine()
        engine.receive(b"+OK\r\n+OK\r\n")
        self.assertEqual(engine.next_event(), Greeting())
        engine.user("joe")
        self.assertEqual(events_of(engine), [Ended("it says something that nobody has asked for")])

    def test_no_answer(self) -> None:
        """Neither +OK nor -ERR; a challenge that belongs to nothing."""
        for line in (b"250 OK\r\n", b"\r\n", b"+ eA==\r\n", b"\xff\r\n"):
            self.assertIn("no answer of POP3", self.ended(b"+OK\r\n", ClientEngine.sizes, line))

    def test_long_lines(self) -> None:
        """A line may have so many octets, and no more, whether it ends or not."""
        fits = b"+OK " + b"x" * (client.MAX_LINE_OCTETS - 6) + b"\r\n"
        self.assertIsInstance(talk(fits)[0][0], Greeting)
        self.assertIn("too long", self.ended(b"x" + fits))
        engine = ClientEngine()
        engine.receive(b"x" * (client.MAX_LINE_OCTETS - 1))
        self.assertIsNone(engine.next_event())
        engine.receive(b"x")
        self.assertEqual(engine.next_event(), Ended("it sends lines that are too long for POP3"))
        engine.receive(b"x" * 1000)
        self.assertEqual(len(engine._buffer), 0)

    def test_early_dot(self) -> None:
        """A message that is shorter than announced is whole only if an answer follows: the server is asked for one."""
        events, sent = talk(
            b"+OK\r\n",
            lambda engine: engine.retrieve(1, 100),
            b"+OK\r\na: b\r\n\r\nx\r\n.\r\n",
            b"+OK\r\n",
        )
        self.assertEqual(sent, b"RETR 1\r\nNOOP\r\n")
        self.assertEqual(events[-1], MessageEnd(Verb.RETR, 11))
        for rest in (b"more of the text\r\n.\r\n", b"x"):
            engine = ClientEngine()
            engine.receive(b"+OK\r\n")
            events_of(engine)
            engine.retrieve(1, 100)
            engine.receive(b"+OK\r\na: b\r\n\r\nx\r\n.\r\n" + rest)
            self.assertEqual([type(event) for event in events_of(engine)], [Greeting, Piece, Ended][1:])
        why = self.ended(
            b"+OK\r\n", lambda engine: engine.retrieve(1, 100), b"+OK\r\na: b\r\n.\r\n", b"more of the text\r\n"
        )
        self.assertIn("ended too early", why)

    def test_early_dot_in_a_pipeline(self) -> None:
        """Where another answer comes anyway, that one tells."""
        engine = PipeliningTests().engine(CAPABLE)
        engine.retrieve(1, 100)
        engine.retrieve(2)
        engine.data_to_send()
        engine.receive(b"+OK\r\nx\r\n.\r\n")
        self.assertEqual(events_of(engine), [Piece(b"x\n")])
        self.assertEqual(engine.data_to_send(), b"")
        engine.receive(b"+OK\r\ny\r\n.\r\n")
        self.assertEqual(events_of(engine), [MessageEnd(Verb.RETR, 3), Piece(b"y\n"), MessageEnd(Verb.RETR, 3)])

    def test_lost(self) -> None:
        """When the connection is gone, what had come is still understood, and a message that was not whole is not."""
        engine = ClientEngine()
        engine.receive(b"+OK\r\n")
        engine.retrieve(1)
        engine.connection_lost("it is gone")
        self.assertEqual(events_of(engine), [Greeting(), Ended("it is gone")])
        engine.connection_lost("again")
        engine.receive(b"+OK\r\n")
        self.assertEqual(events_of(engine), [])
        events, _ = talk(
            b"+OK\r\n",
            lambda engine: engine.retrieve(1, 3),
            b"+OK\r\nab",
            lambda engine: engine.connection_lost("cut"),
        )
        self.assertEqual(events[1:], [Piece(b"ab"), Ended("cut")])

    def test_odd_listings(self) -> None:
        """What is no entry is passed over; long ids are cut, so that they are known not to be ids."""
        lines = b"1 10\r\nnonsense\r\n2\r\n-3 5\r\n99999999999 1\r\n 4  44 extra\r\n5 " + b"x" * 300 + b"\r\n"
        events, _ = talk(b"+OK\r\n", ClientEngine.unique_ids, b"+OK\r\n" + lines + b".\r\n")
        self.assertEqual(
            events[-1], Listing(Verb.UIDL, {1: "10", 4: "44", 5: "x" * (client.MAX_UID_CHARACTERS + 1)}, 4)
        )

    def test_endless_listings(self) -> None:
        """So much of a listing is kept, so much is read, and then the server is left."""
        self.patch(client, "MAX_LISTED", 3)
        self.patch(client, "MAX_LISTING_LINES", 5)
        events, _ = talk(b"+OK\r\n", ClientEngine.sizes, b"+OK\r\n1 1\r\n2 2\r\n3 3\r\n4 4\r\n5 5\r\n.\r\n")
        self.assertEqual(events[-1], Listing(Verb.LIST, {1: "1", 2: "2", 3: "3"}, 2))
        self.assertIn("no end", self.ended(b"+OK\r\n", ClientEngine.sizes, b"+OK\r\n" + b"1 1\r\n" * 6))
        many = b"X\r\n" * client.MAX_CAPABILITIES
        self.assertEqual(
            talk(b"+OK\r\n", ClientEngine.capabilities, b"+OK\r\n" + many + b".\r\n")[0][-1], Answer(Verb.CAPA, True)
        )
        self.assertIn("no end", self.ended(b"+OK\r\n", ClientEngine.capabilities, b"+OK\r\n" + many + b"X\r\n"))

    @given(st.lists(st.sampled_from([b"+OK", b"-ERR", b"+ ", b".", b"1 2", b"\r\n", b"\n", b"x", b"..", b"\xff"])))
    def test_anything(self, words: list[bytes]) -> None:
        """Whatever comes, the engine ends or waits, and says the same however it was cut."""
        wire = b"+OK\r\n" + b"".join(words)

        def run(pieces: list[bytes]) -> list[Event]:
            engine = ClientEngine()
            for ask in (ClientEngine.sizes, lambda engine: engine.retrieve(1, 5), ClientEngine.quit):
                ask(engine)
            events = []
            for piece in pieces:
                engine.receive(piece)
                engine.data_to_send()
                events += events_of(engine)
            engine.connection_lost("over")
            events += events_of(engine)
            self.assertIsInstance(events[-1], Ended)
            return [event for event in events if not isinstance(event, Piece)]

        run([wire])
