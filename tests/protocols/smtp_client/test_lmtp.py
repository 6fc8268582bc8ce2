"""The LMTP client's engine (RFC 2033): what is different from SMTP, and nothing else."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.outcome import Result
from hermes.protocols.smtp.client_events import ContentWanted, Ended, Refused, Stage, TransactionDone
from tests.support.cuts import Cut
from tests.support.smtp_engine import GREETING, Conversation, every_cut, parcel


def results(event: object) -> list[Result]:
    """What became of the recipients."""
    assert isinstance(event, TransactionDone)
    return [outcome.result for outcome in event.outcomes]


class LMTPTests(SynchronousTestCase):
    """Sessions."""

    def talk(self, *extensions: str, cut: Cut | None = None) -> Conversation:
        """A session after LHLO."""
        talk = Conversation(lmtp=True) if cut is None else Conversation(cut, lmtp=True)
        talk.open(*extensions)
        return talk

    def test_greeting(self) -> None:
        """LHLO in the place of EHLO (RFC 2033 4.1); who does not know it is no LMTP server, and HELO is not tried."""
        talk = Conversation(lmtp=True)
        talk.server(GREETING)
        self.assertEqual(talk.sent(), b"LHLO client.example.org\r\n")
        talk.server(b"500 what?\r\n")
        self.assertEqual(talk.sent(), b"LHLO client.example.org\r\n")
        (event,) = talk.server(b"500 what?\r\n")
        self.assertIsInstance(event, Refused)
        self.assertIs(event.stage, Stage.HELLO)

    @every_cut
    def test_answers(self, cut: Cut) -> None:
        """Each recipient that was accepted has an answer of its own, in their order (RFC 2033 4.2)."""
        for extensions in (("PIPELINING",), ()):
            talk = self.talk(*extensions, cut=cut)
            talk.engine.begin(parcel("a@example.com", "b@example.com", "c@example.com", "d@example.com"))
            replies = [
                b"250 ok\r\n",
                b"250 ok\r\n",
                b"550 5.1.1 nobody\r\n",
                b"250 ok\r\n",
                b"250 ok\r\n",
                b"354 go\r\n",
            ]
            for reply in replies:
                talk.server(reply)
            self.assertIsInstance(talk.events[-1], ContentWanted)
            talk.sent()
            self.assertEqual(talk.send(b"text\n"), b"text\r\n.\r\n")
            self.assertEqual(talk.server(b"250 2.1.5 in a's mailbox\r\n250-2.1.5 two\r\n250 2.1.5 lines\r\n"), [])
            (event,) = talk.server(b"452 4.2.2 full\r\n")
            self.assertEqual(results(event), [Result.RELAYED, Result.FAILED, Result.RELAYED, Result.DEFERRED])
            assert isinstance(event, TransactionDone)
            self.assertEqual([each.status for each in event.outcomes], ["2.1.5", "5.1.1", "2.1.5", "4.2.2"])
            self.assertFalse(talk.engine.ended)
            self.assertIs(talk.engine.stage, Stage.IDLE)

    def test_binary(self) -> None:
        """So it is after BDAT LAST (RFC 2033 4.3)."""
        talk = self.talk("PIPELINING", "CHUNKING", "BINARYMIME", "8BITMIME")
        talk.engine.begin(parcel("a@example.com", "b@example.com", octets=4, binary=True))
        talk.server(b"250 ok\r\n" * 3)
        talk.send(b"\0\r\n\n")
        self.assertEqual(talk.server(b"250 ok\r\n"), [])
        (event,) = talk.server(b"550 no\r\n")
        self.assertEqual(results(event), [Result.RELAYED, Result.FAILED])

    def test_cut_off(self) -> None:
        """What was said of some holds when the connection is lost before the others."""
        for last in (b"", b"421 4.3.0 going down\r\n"):
            talk = self.talk("PIPELINING")
            talk.engine.begin(parcel("a@example.com", "b@example.com", "c@example.com"))
            talk.server(b"250 ok\r\n" * 4 + b"354 go\r\n")
            talk.send(b"text\n")
            talk.server(b"250 stored\r\n" + last)
            if not last:
                talk.engine.connection_lost("it was closed")
                talk.look()
            self.assertEqual(results(talk.events[-1]), [Result.RELAYED, Result.DEFERRED, Result.DEFERRED])

    def test_nobody_accepted(self) -> None:
        """Then DATA must be refused; a server that wants a message all the same is left, for nobody knows what it will say."""
        for answer, ends in ((b"503 5.5.1 no recipients\r\n", False), (b"354 go\r\n", True)):
            talk = self.talk("PIPELINING")
            talk.engine.begin(parcel("a@example.com", "b@example.com"))
            (event,) = talk.server(b"250 ok\r\n550 5.1.1 no\r\n550 5.1.1 no\r\n" + answer)
            self.assertEqual(results(event), [Result.FAILED] * 2)
            self.assertIs(talk.engine.ended, ends)

    def test_odd_answer(self) -> None:
        """An answer that asks for more ends the session; who has none yet is tried again."""
        talk = self.talk("PIPELINING")
        talk.engine.begin(parcel("a@example.com", "b@example.com"))
        talk.server(b"250 ok\r\n" * 3 + b"354 go\r\n")
        talk.send(b"text\n")
        (event,) = talk.server(b"550 no\r\n354 more\r\n")
        self.assertEqual(results(event), [Result.FAILED, Result.DEFERRED])
        self.assertTrue(talk.engine.ended)

    def test_again(self) -> None:
        """A second message on the same connection, and goodbye."""
        talk = self.talk("PIPELINING")
        for _ in range(2):
            talk.engine.begin(parcel("a@example.com"))
            reset = b"250 ok\r\n" if talk.engine.transactions > 1 else b""
            talk.server(reset + b"250 ok\r\n" * 2 + b"354 go\r\n")
            talk.send(b"text\n")
            (event,) = talk.server(b"250 stored\r\n")
            self.assertEqual(results(event), [Result.RELAYED])
        talk.engine.quit()
        self.assertIsInstance(talk.server(b"221 bye\r\n")[0], Ended)
