"""Transcripts of POP3 sessions, played line by line, pipelined, octet by octet and cut at random."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.account import Account
from hermes.core.visit import Visit
from hermes.services.pop3_submission import Submissions
from tests.support.cuts import at_random, byte_by_byte, whole
from tests.support.mailbox import MailboxRealm, MemoryMailbox
from tests.support.pop3 import Client, Site
from tests.support.scram import MemoryKeys
from tests.support.smtp_site import Site as SMTPSite

DIALOGUES = Path(__file__).parent.parent / "dialogues" / "pop3"

#: The mailbox of every dialogue. The last line of the third message has no end.
MESSAGES = (
    b"Subject: one\n\nfirst line\nsecond line\n\n",
    b"Subject: dots\n\n.\n.hidden\n..two\nno.dot here\n.\n",
    b"Subject: three\n\nlast",
)


def turns(path: Path) -> list[tuple[bytes, bytes]]:
    """What the client sends, and what the server answers; the first turn is the greeting."""
    found: list[tuple[bytes, bytes]] = [(b"", b"")]
    for line in path.read_text("utf-8").splitlines():
        side, text = line[:2], line[3:].encode() + b"\r\n"
        if side == "C:":
            found.append((text, b""))
        elif side == "S:":
            found[-1] = (found[-1][0], found[-1][1] + text)
        elif not line.startswith("#"):
            raise ValueError(f"{path.name}: {line!r} is neither C: nor S: nor a comment")
    return found


class POP3DialogueTests(SynchronousTestCase):
    """One method for each file in ``tests/dialogues/pop3`` follows below."""

    def connect(self, dialogue: str) -> Client:
        """A fresh server: ada has messages, bob's mailbox is in use, carol's is empty; ada can send where that is tried."""
        busy = MemoryMailbox()
        busy.locked = True
        self.ada = MemoryMailbox(*MESSAGES)
        realm = MailboxRealm(ada=self.ada, bob=busy, carol=MemoryMailbox())
        scram = MemoryKeys(ada="secret") if dialogue == "scram" else None
        return Site(realm, scram=scram, submissions=self.submissions() if dialogue == "xtnd" else None).connect()

    def submissions(self) -> Submissions:
        """What takes ada's mail."""
        smtp, ada = SMTPSite(), Account("ada", ("ada@example.org",))

        async def account(name: str) -> Account | None:
            return {"ada": ada}.get(name)

        self.patch(smtp.directory, "account", account)
        return Submissions(lambda: smtp.premises, Visit, smtp.settings.smtp)

    def play(self, path: Path) -> None:
        """Play a dialogue in every way; the server says the same, and closes at the end."""
        dialogue = turns(path)
        self.assertEqual(dialogue[-1][0].upper(), b"QUIT\r\n")
        client = self.connect(path.stem)
        self.assertEqual(client.greeting, dialogue[0][1])
        for said, answered in dialogue[1:]:
            self.assertEqual(self.send(client, said), answered, f"answer to {said!r}")
        self.check_end(client)
        everything = b"".join(said for said, _ in dialogue)
        expected = b"".join(answered for _, answered in dialogue)
        for cut in (whole, byte_by_byte, at_random):
            client = self.connect(path.stem)
            heard = client.greeting + b"".join(self.send(client, piece) for piece in cut(everything))
            self.assertEqual(heard, expected, cut.__name__)
            self.check_end(client)

    def send(self, client: Client, octets: bytes) -> bytes:
        """Send, and wait for as long as wrong passwords take."""
        heard = client.send(octets)
        while (turns := client.session._turns) is not None and not turns.idle and not turns.stopped:
            client.clock.advance(1)
            heard += client.take()
        return heard

    def check_end(self, client: Client) -> None:
        """Whatever was opened has been closed, and nothing is left to happen."""
        self.assertTrue(client.wire.lost)
        self.assertEqual(self.ada.calls.count("open"), self.ada.calls.count("close"))
        self.assertEqual(client.clock.getDelayedCalls(), [])
        self.assertEqual(len(client.session.factory.sessions), 0)


def _test_of(path: Path) -> object:
    def test(case: POP3DialogueTests) -> None:
        case.play(path)

    test.__doc__ = path.read_text("utf-8").splitlines()[0].removeprefix("# ")
    return test


for _path in sorted(DIALOGUES.glob("*.txt")):
    setattr(POP3DialogueTests, f"test_{_path.stem}", _test_of(_path))
