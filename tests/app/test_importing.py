"""Mail is imported while a whole server runs: seen by its readers, and known to its trace."""

from __future__ import annotations

import os
import poplib
import subprocess
import sys
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from hermes.app.importing import importing_commands, told
from hermes.core.event import Event, Kind
from hermes.core.identifiers import imported_id
from tests.support.kept import stored
from tests.support.ports import free_port
from tests.support.server import PASSWORD, USER, ServerTestCase

MBOX = b"".join(
    b"From a@example.com Thu Jan  1 10:00:0%d 2026\nMessage-ID: <%d@example.com>\n\nbody\n\n" % (number, number)
    for number in range(3)
)


class RunningTests(ServerTestCase):
    """A server with POP3."""

    timeout = 120

    def hermes(self, *words: str) -> tuple[int, str]:
        """The command, in a process of its own; how it ended and what it said."""
        done = subprocess.run(
            [sys.executable, "-m", "hermes.cli.main", words[0], "-c", self.path, *words[1:]],
            env={"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ.get("PATH", "")},
            capture_output=True,
            check=False,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr

    def session(self, port: int) -> poplib.POP3:
        """Somebody reads mail."""
        reader = poplib.POP3("127.0.0.1", port, timeout=60)
        reader.user(USER)
        reader.pass_(PASSWORD)
        return reader

    async def test_beside_a_reader(self) -> None:
        """
        An import waits for no reader.

        A session that has begun goes on as it was, the next one has the mail, and what is fetched is told with the import.
        """
        port = free_port()
        events = self.events()
        await self.start(f"[pop3]\nlisten = 127.0.0.1:{port}\nauth_without_tls = loopback\n")
        kept = Path(self.mktemp())
        kept.write_bytes(MBOX)
        first = await deferToThread(self.session, port)
        code, said = await deferToThread(self.hermes, "import", USER, str(kept.absolute()))
        octets = sum(map(len, stored(str(self.data / "mail" / USER))))
        self.assertEqual((code, said), (0, f"3 messages imported for {USER}, {octets} octets\n"))
        self.assertEqual(await deferToThread(first.stat), (0, 0))
        await deferToThread(first.quit)
        imported = await events.until(Kind.IMPORTED, 3)
        self.assertEqual([event.message_id for event in imported], [f"<{number}@example.com>" for number in range(3)])
        second = await deferToThread(self.session, port)
        self.assertEqual((await deferToThread(second.stat))[0], 3)
        self.assertIn(b"Message-ID: <0@example.com>", (await deferToThread(second.retr, 1))[1])
        (retrieved,) = await events.until(Kind.RETRIEVED)
        self.assertEqual(retrieved.queue_id, imported[0].queue_id)
        await deferToThread(second.quit)
        code, said = await deferToThread(self.hermes, "track", "<0@example.com>")
        self.assertEqual(code, 0)
        self.assertIn("imported into the mailbox", said)
        self.assertIn("fetched by a reader", said)
        code, said = await deferToThread(self.hermes, "import", USER, str(kept.absolute()))
        self.assertEqual((code, said.splitlines()[1:]), (0, ["3 had been imported before"]))

    async def test_room(self) -> None:
        """What is imported counts against the quota at once: the server knows of it."""
        server = await self.start("[mailbox]\nquota = 1000\n")
        account = await server._circle.directory.account(USER)
        assert account is not None
        mailboxes = server._circle.mailboxes
        self.assertIsNone((await mailboxes.over_quota(account, 500)).reply)
        await server.commands().call("import.record", {"account": USER, "octets": 900, "events": []})
        usage = mailboxes.quota._usages[mailboxes.path(USER)]
        self.assertEqual(usage.octets, 900)
        # Somebody who is not there any more is not a fault.
        await server.commands().call("import.record", {"account": "nobody", "octets": 900, "events": []})

    async def test_what_is_no_fact(self) -> None:
        """Whatever else is said is refused."""
        server = await self.start()
        event = told(Event(1.0, Kind.IMPORTED, imported_id(b"x" * 16), USER, None, "<m@example.org>", {"a": 1}))
        for wrong in (
            {},
            {"account": 1, "octets": 0, "events": []},
            {"account": USER, "octets": "many", "events": []},
            {"account": USER, "octets": 0, "events": "none"},
            *(
                {"account": USER, "octets": 0, "events": [each]}
                for each in (1, {}, {**event, "id": "01GA4GC6N2T0"}, {**event, "id": 5}, {**event, "at": "now"},
                             {**event, "facts": []}, {**event, "message_id": None})
            ),
        ):  # fmt: skip
            said = Deferred.fromCoroutine(server.commands().call("import.record", wrong))
            await self.assertFailure(said, ValueError)
        good = {"account": USER, "octets": 0, "events": [event]}
        self.assertEqual(await server.commands().call("import.record", good), 1)

    def test_one_worker(self) -> None:
        """With several workers one keeps the facts."""
        self.assertEqual(importing_commands(None, lambda: None, here=False), {})  # type: ignore[arg-type, return-value]
