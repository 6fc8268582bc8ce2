"""The whole server: from a configuration to listening sockets, and back to nothing."""

from __future__ import annotations

import os
import socket
import stat
import threading
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.error import ReactorNotRunning
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from hermes.app import open_files
from hermes.app.server import Server, StartError, halt
from hermes.config.loader import load
from tests.support.ports import free_port
from tests.support.server import ServerTestCase, Talk, answers, descriptors, greeting


class RunningTests(ServerTestCase):
    """A server that starts and stops."""

    async def test_everything_listens(self) -> None:
        """After the start every door is open, and the status names them."""
        smtp, pop3 = free_port(), free_port()
        server = await self.start(f"[smtp]\nlisten = 127.0.0.1:{smtp}\n[pop3]\nlisten = 127.0.0.1:{pop3}\n")
        self.assertEqual((await deferToThread(greeting, ("127.0.0.1", smtp)))[:21], "220 mail.example.org ")
        self.assertEqual((await deferToThread(greeting, ("127.0.0.1", pop3)))[:4], "+OK ")
        status = server.status()
        self.assertEqual(status["smtp_listens"], f"127.0.0.1:{smtp}")
        self.assertEqual(status["pop3_listens"], f"127.0.0.1:{pop3}")
        self.assertEqual((status["hostname"], status["process"]), ("mail.example.org", os.getpid()))
        self.assertEqual((status["queue_active"], status["outgoing_connections"]), (0, []))

    async def test_sessions(self) -> None:
        """Who is connected is listed, with the service, and is not any more after leaving."""
        server = await self.start("[smtp]\nlisten = 127.0.0.1:0\n[pop3]\nlisten = [::1]:0\n")
        self.assertEqual(server.sessions(), [])
        place = server._listening["smtp"]._ports["127.0.0.1:0"][0].getHost()
        talk = await deferToThread(Talk, ("127.0.0.1", place.port))
        (session,) = server.sessions()
        self.assertEqual(session["peer"], "127.0.0.1")
        self.assertEqual((server.status()["smtp_sessions"], server.status()["connections"]), (1, 1))
        self.assertEqual((await deferToThread(talk.say, "QUIT"))[:3], "221")
        self.assertEqual(await deferToThread(talk.line), "")
        talk.close()
        self.assertEqual(server.sessions(), [])

    test_sessions.skip = None if socket.has_ipv6 else "this machine has no IPv6"  # type: ignore[attr-defined]

    async def test_descriptors(self) -> None:
        """The system is asked for two descriptors for each connection and some more; when it has fewer, that is in the log."""
        asked: list[int] = []

        def allow(wanted: int) -> int:
            asked.append(wanted)
            return 1024

        self.patch(open_files, "allow", allow)
        with capturedLogs() as logs:
            server = await self.start("[limits]\nconnections = 300\n")
        warnings = [formatEvent(event) for event in logs if event["log_level"] is LogLevel.warn]
        self.assertEqual([line for line in warnings if line and "open files" in line], [])
        self.rewrite("[limits]\nconnections = 500\n")
        with capturedLogs() as logs:
            await server.reload()
        self.assertEqual(asked[1] - asked[0], 2 * 200)
        # A machine that is slow has others.
        warnings = [formatEvent(event) or "" for event in logs if event["log_level"] is LogLevel.warn]
        self.assertEqual(len([line for line in warnings if "LimitNOFILE" in line]), 1)

    async def test_control_socket_is_private(self) -> None:
        """Only the server's own user may open the control socket, in a directory that is its own too."""
        await self.start()
        self.assertEqual(stat.S_IMODE((self.data / "control.sock").stat().st_mode), 0o600)

    async def test_data_directory_is_made(self) -> None:
        """A data directory that is missing is made for the server alone; the accounts still have to be there."""
        server = self.make(accounts=False)
        self.assertEqual(stat.S_IMODE(self.data.stat().st_mode), 0o700)
        await self.begin(server)
        (failure,) = self.failures
        self.assertIn("accounts.ini", failure.getErrorMessage())

    async def test_nothing_is_left(self) -> None:
        """After the stop no socket, no file and no thread of the server is there."""
        port = free_port()
        path = self.write(f"[smtp]\nlisten = 127.0.0.1:{port}\nlmtp = unix:{self.directory()}/lmtp.sock\n")
        left = []
        for _ in range(2):
            server = Server(path, load(path), reactor, self.fail)
            await self.begin(server)
            self.assertTrue(answers(("127.0.0.1", port)))
            await server.service.stopService()
            self.assertFalse(answers(("127.0.0.1", port)))
            self.assertEqual(list(self.data.glob("*.sock")), [])
            left.append((descriptors(), threading.active_count()))
        # The first start may leave what Twisted keeps for the whole process.
        self.assertEqual(left[0], left[1])
        self.assertEqual(os.listdir(self.directory()), [])

    async def test_stop_closes_all_doors_first(self) -> None:
        """While one protocol's sessions end, no other takes new ones; a session is told before it is closed."""
        smtp, pop3 = free_port(), free_port()
        server = await self.start(f"[smtp]\nlisten = 127.0.0.1:{smtp}\n[pop3]\nlisten = 127.0.0.1:{pop3}\n")
        writing = await deferToThread(Talk, ("127.0.0.1", smtp))
        reading = await deferToThread(Talk, ("127.0.0.1", pop3))
        stopped = server.service.stopService()
        # It ran until it had to wait for the first port.
        self.assertEqual((await deferToThread(writing.line))[:8], "421 4.3.")
        self.assertEqual(await deferToThread(reading.line), "")
        await stopped
        self.assertFalse(answers(("127.0.0.1", smtp)) or answers(("127.0.0.1", pop3)))
        writing.close()
        reading.close()

    async def test_stop_in_the_middle_of_the_start(self) -> None:
        """A server that is stopped while it opens its stores never listens, and keeps no socket."""
        port = free_port()
        server = self.make(f"[smtp]\nlisten = 127.0.0.1:{port}\n")
        server.service.startService()
        await server.service.stopService()
        self.assertFalse(answers(("127.0.0.1", port)))
        self.assertEqual(self.failures, [])
        self.assertFalse((self.data / "control.sock").exists())

    async def test_stop_command(self) -> None:
        """The command to stop answers first, and ends the reactor only once."""

        class Stopping(Clock):
            stops = 0

            def stop(self) -> None:
                """Count, and refuse a second time as the real one does."""
                self.stops += 1
                if self.stops > 1:
                    raise ReactorNotRunning("it has been stopped")

        clock = Stopping()
        path = self.write()
        server = Server(path, load(path), clock, self.fail)
        self.addCleanup(server.service.abandon)
        server.stop()
        server.stop()
        self.assertEqual(clock.stops, 0)
        clock.advance(0.1)
        self.assertEqual(clock.stops, 2)


class CannotBeMadeTests(ServerTestCase):
    """What is found before anything has begun: one line says what and where, and nothing is left behind."""

    def test_port_in_use(self) -> None:
        """A port that is taken is named with its setting, and what was bound before it is let go."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port, lmtp = taken.getsockname()[1], f"unix:{self.directory()}/lmtp.sock"
            text = self.cannot_be_made(
                f"[smtp]\nlisten = 127.0.0.1:0\nlmtp = {lmtp}\n[pop3]\nlisten = 127.0.0.1:{port}\n"
            )
        self.assertEqual(
            text,
            f"[pop3] listen: cannot listen at 127.0.0.1:{port}: something else listens there already; "
            "stop it, or choose another port",
        )
        self.assertEqual(os.listdir(self.directory()), [])

    def test_manhole_port_in_use(self) -> None:
        """So is the manhole's."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            text = self.cannot_be_made(f"[smtp]\nlisten = 127.0.0.1:0\n[manhole]\nlisten = 127.0.0.1:{port}\n")
        self.assertIn(f"cannot listen at 127.0.0.1:{port}: something else", text)

    async def test_server_that_runs_already(self) -> None:
        """A second server for the same data says that one is running, not that its ports are taken, and leaves it alone."""
        await self.start()
        error = self.assertRaises(StartError, Server, self.path, load(self.path), reactor, self.fail)
        self.assertIn("a server of this site is running already", str(error))
        self.assertIn(f"`hermes stop -c {self.path}` ends it", str(error))
        self.assertTrue(answers(str(self.data / "control.sock")))

    def test_certificate(self) -> None:
        """A certificate that cannot be read is named."""
        text = self.cannot_be_made("[tls]\ncertificate = tls/none.pem\nkey = tls/none.key\n")
        self.assertTrue(text.endswith("data/tls/none.pem: the certificate cannot be read: No such file or directory"))

    def test_authority(self) -> None:
        """So is the smart host's authority, whether it is missing or something else."""
        section = "[smarthost]\nhost = smtp.example.net\nauthority = "
        text = self.cannot_be_made(section + "/nonexistent/ca.pem\n")
        self.assertEqual(text, "[smarthost] authority: /nonexistent/ca.pem: No such file or directory")
        path = Path(self.mktemp()).absolute()
        path.write_text("no PEM")
        text = self.cannot_be_made(section + f"{path}\n")
        self.assertEqual(text, f"[smarthost] authority: {path}: there is no certificate in PEM form in it")

    def test_host_key(self) -> None:
        """So is the manhole's key."""
        path = Path(self.mktemp()).absolute()
        path.write_text("no key")
        section = "[manhole]\nlisten = 127.0.0.1:0\nhost_key = "
        text = self.cannot_be_made(section + f"{path}\n")
        self.assertEqual(text, f"[manhole] host_key: {path}: this is not a private key without a passphrase")
        text = self.cannot_be_made(section + f"{path}/below\n")
        self.assertEqual(text, f"[manhole] host_key: {path}/below: File exists")

    def test_data_is_a_file(self) -> None:
        """A data directory that cannot be made is named with its setting."""
        path = Path(self.mktemp()).absolute()
        path.write_text("precious")
        config = Path(self.write(accounts=False))
        config.write_text(config.read_text().replace("[hermes]\n", f"[hermes]\ndata = {path}/data\n"))
        error = self.assertRaises(StartError, Server, str(config), load(config), reactor, self.fail)
        self.assertEqual(str(error), f"[hermes] data: {path}/data: Not a directory")


class CannotStartTests(ServerTestCase):
    """What only the start can find: those who wait for the server are told, and nothing is left."""

    async def refused(self, server: Server) -> str:
        """Why the start failed; then nothing of the server is left."""
        await self.begin(server)
        (failure,) = self.failures
        self.assertFalse((self.data / "control.sock").exists())
        self.assertEqual(server.status()["smtp_listens"], "")
        await server.service.stopService()
        return failure.getErrorMessage()

    async def test_accounts(self) -> None:
        """Accounts that cannot be understood are named with file and line."""
        server = self.make("[smtp]\nlisten = 127.0.0.1:0\n")
        (self.data / "accounts.ini").write_text("nobody\n")
        self.assertIn("accounts.ini:1: 'nobody' is neither", await self.refused(server))

    async def test_spool_in_use(self) -> None:
        """A spool that another process holds is not touched."""
        first = await self.start()
        spool = self.data / "spool"
        server = self.make("[smtp]\nlisten = 127.0.0.1:0\n")
        (self.data / "spool").symlink_to(spool)
        self.assertIn(f"cannot open the spool {self.data}/spool: ", await self.refused(server))
        self.assertTrue(first.service.running)

    async def test_spool_that_is_none(self) -> None:
        """A store that is damaged is named."""
        server = self.make()
        (self.data / "spool").mkdir()
        (self.data / "spool" / "spool.sqlite").write_bytes(b"no database" * 1000)
        self.assertIn("cannot open the spool", await self.refused(server))

    async def test_log(self) -> None:
        """A mail log that cannot be written is named."""
        server = self.make("[log]\nfile = none/mail.log\n")
        self.assertIn("none/mail.log", await self.refused(server))


class HaltTests(SynchronousTestCase):
    """Ending the reactor."""

    def test_twice(self) -> None:
        """It may be asked for by several, as a signal and a failed start."""

        class Reactor:
            running = True

            def stop(self) -> None:
                """End, once."""
                if not self.running:
                    raise ReactorNotRunning("it has been stopped")
                self.running = False

        one = Reactor()
        halt(one)
        halt(one)
        self.assertFalse(one.running)
