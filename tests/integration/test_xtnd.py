"""Mail that is sent through a POP3 session, with Python's own POP3 client: on the disk when it is answered, and delivered."""

from __future__ import annotations

import poplib
import ssl

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.site import PASSWORD, USER, Site, wait_until

BODY = ".dot\n..dots\n\nGrüße\nlast line\n"


class Client(poplib.POP3_SSL):
    """With the command that the library does not know."""

    def transmit(self, text: str) -> bytes:
        """Send a message; the answer, or ``error_proto`` with it."""
        self._shortcmd("XTND XMIT")  # type: ignore[attr-defined]
        for line in text.encode().splitlines():
            self._putline(b"." + line if line.startswith(b".") else line)  # type: ignore[attr-defined]
        answer: bytes = self._shortcmd(".")  # type: ignore[attr-defined]
        return answer


class TransmissionTests(SynchronousTestCase):
    """One site that takes mail this way."""

    def setUp(self) -> None:
        """Start it."""
        self.site = Site()
        self.addCleanup(self.site.close)
        self.site.configure("pop3", "xtnd_xmit = yes")
        self.site.start()

    def log_in(self) -> Client:
        """A session under TLS."""
        context = ssl.create_default_context(cafile=str(self.site.certificate))
        context.check_hostname = False
        client = Client("127.0.0.1", self.site.ports["pop3s"], timeout=30, context=context)
        client.user(USER)
        client.pass_(PASSWORD)
        return client

    def test_there_and_back(self) -> None:
        """What is sent in one session is read in the next, without Bcc, and the trace says how it came."""
        client = self.log_in()
        self.assertIn("XTND", client.capa())
        text = f"From: joe@example.org\nTo: Joe <joe@example.org>\nBcc: postmaster@example.org\nSubject: sent by POP3\n\n{BODY}"
        answer = client.transmit(text)
        self.assertTrue(answer.startswith(b"+OK accepted as "), answer)
        with self.assertRaises(poplib.error_proto) as refused:
            client.transmit("From: joe@example.org\nTo: joe@example.org, zoe@example.org\n\nx\n")
        self.assertEqual(refused.exception.args, (b"-ERR zoe@example.org: No such mailbox here",))
        client.quit()
        found = self.site.wait_for_messages(1)
        for octets in found:
            self.assertTrue(octets.endswith(BODY.encode()), octets)
            self.assertNotIn(b"Bcc", octets)
        client = self.log_in()
        read = b"\n".join(client.retr(1)[1])
        client.quit()
        self.assertIn(b"Subject: sent by POP3", read)
        queue_id = answer.split()[-1].decode()
        self.assertIn("XTND XMIT", str(self.site.ask("track", queue_id)))
        self.assertIn("relay.unknown_user", str(self.site.ask("track", "zoe@example.org")))

    def test_killed(self) -> None:
        """What was answered with +OK survives a power cut that comes with the answer; what was not, was not sent."""
        answered = []
        for number in range(5):
            client = self.log_in()
            text = f"From: joe@example.org\nTo: joe@example.org\nSubject: number {number}\n\n{BODY}"
            answered.append(client.transmit(text).split()[-1])
            client._shortcmd("XTND XMIT")  # type: ignore[attr-defined]
            client._putline(text.replace("number", "half").encode())  # type: ignore[attr-defined]
            self.site.kill()
            client.close()
            self.site.start()
        self.site.wait_for_messages(len(answered))
        wait_until("an empty queue", lambda: not self.site.ask("queue", "list"))
        found = self.site.messages()
        numbers = {octets.partition(b"Subject: ")[2].partition(b"\n")[0].decode() for octets in found}
        self.assertEqual(numbers, {f"number {number}" for number in range(5)})
        self.assertEqual(len(set(answered)), 5)
