"""Other senders on the wire, by a smart host that wants them."""

from __future__ import annotations

from hermes.core.outcome import Result
from hermes.services import sender_rewrite
from tests.services.test_smarthost import SmarthostCase
from tests.support.outgoing import Reader, message
from tests.support.smtp_peer import Script

LETTER = b"Subject: scan\nFrom: Scan <scan@a.test>\n\n.page\nFrom: stays\n"


class RewriteTests(SmarthostCase):
    """Messages as they arrive."""

    async def test_envelope(self) -> None:
        """The envelope's sender is replaced, and that of reports stays empty (RFC 5321 4.5.5)."""
        peer = self.peer(Script(extensions=["SIZE"]))
        agent = self.agent(peer, envelope_sender="account@example.net")
        await self.send(agent)
        await self.send(agent, reverse_path="")
        self.assertEqual(
            [arrived.mail.split(" SIZE")[0] for arrived in peer.messages],
            ["MAIL FROM:<account@example.net>", "MAIL FROM:<>"],
        )

    async def test_from(self) -> None:
        """The From field is replaced, the body is untouched, and the size that is announced is the one that is sent."""
        for piece in (1, 7, 10_000):
            peer = self.peer(Script(extensions=["SIZE"]))
            agent = self.agent(peer, Reader(piece), from_address="account@example.net")
            (outcome,) = await self.send(agent, data=LETTER)
            self.assertIs(outcome.result, Result.RELAYED)
            (arrived,) = peer.messages
            self.assertEqual(
                arrived.data,
                b"Subject: scan\r\nFrom: Scan <account@example.net>\r\nReply-To: Scan <scan@a.test>\r\n\r\n"
                b".page\r\nFrom: stays\r\n",
            )
            self.assertEqual(arrived.mail, f"MAIL FROM:<sender@example.org> SIZE={len(arrived.data)}")

    async def test_binary(self) -> None:
        """A binary message keeps its line ends, and BDAT says the right length (RFC 3030 2)."""
        peer = self.peer(Script(extensions=["CHUNKING", "BINARYMIME"]))
        data = b"From: a@a.test\r\n\r\n" + bytes(range(256)) * 50
        (outcome,) = await self.send(self.agent(peer, from_address="account@example.net"), data=data, binary=True)
        self.assertIs(outcome.result, Result.RELAYED)
        start = b"From: <account@example.net>\r\nReply-To: a@a.test\r\n\r\n"
        self.assertEqual(peer.messages[0].data, start + bytes(range(256)) * 50)

    async def test_without_header_or_body(self) -> None:
        """A message that is only a header, only a body, or nothing, gets its From field as well."""
        for data, wanted in (
            (b"", b"From: <account@example.net>\r\n"),
            (b"\nbody\n", b"From: <account@example.net>\r\n\r\nbody\r\n"),
            (b"From: a@a.test\n", b"From: <account@example.net>\r\nReply-To: a@a.test\r\n"),
        ):
            peer = self.peer(Script(extensions=["SIZE"]))
            await self.send(self.agent(peer, from_address="account@example.net"), data=data)
            self.assertEqual(peer.messages[0].data, wanted)

    async def test_endless_header(self) -> None:
        """A header of the greatest length is changed; one without an end is not sent, and comes back with the reason."""
        self.patch(sender_rewrite, "MAX_HEADER_OCTETS", 100)
        for octets, result in ((80, Result.RELAYED), (200, Result.FAILED)):
            peer = self.peer()
            agent = self.agent(peer, from_address="account@example.net")
            (outcome,) = await self.send(agent, data=b"X: " + b"x" * octets + b"\nFrom: a@a.test\n\nbody\n")
            self.assertIs(outcome.result, result)
        self.assertIn("has no end", outcome.reason)
        self.assertEqual(peer.messages, [])

    async def test_message_stays(self) -> None:
        """What the queue has is not changed: another smart host, or a report, sees the message as it came."""
        peer = self.peer()
        sending, recipients = message("a@example.com", data=LETTER)
        content, envelope = sending.content, sending.envelope
        agent = self.agent(peer, from_address="account@example.net", envelope_sender="account@example.net")
        await agent.deliver("default", sending, recipients)
        self.assertIs(sending.content, content)
        self.assertIs(sending.envelope, envelope)
