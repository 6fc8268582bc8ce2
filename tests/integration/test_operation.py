"""Starting, stopping, reloading and looking inside, as an administrator does it."""

from __future__ import annotations

import os
import signal
import smtplib
import socket
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.site import Site, free_ports, need, run, wait_until


class StartTests(SynchronousTestCase):
    """How it starts, and what it says when it cannot."""

    def setUp(self) -> None:
        """A site that does not run yet."""
        self.site = Site()
        self.addCleanup(self.site.close)

    def refused(self) -> str:
        """Start it in vain; the one line that it says."""
        done = self.site.hermes("run", "-c", str(self.site.config), check=False)
        output = (done.stdout + done.stderr).decode()
        self.assertNotEqual(done.returncode, 0)
        self.assertNotIn("Traceback", output)
        return output

    def test_stop_in_order(self) -> None:
        """SIGTERM ends it with status 0, and it can be started again at once."""
        self.site.start()
        self.assertEqual(self.site.stop(), 0)
        self.site.start()

    def test_stop_at_once(self) -> None:
        """Who sends the signal again does not wait for a session that stays, and sees no traceback."""
        self.site.start()
        assert self.site.process is not None
        with smtplib.SMTP("127.0.0.1", self.site.ports["smtp"]) as client:
            client.ehlo()
            # A message that is coming in is waited for.
            client.mail("s@example.net")
            client.rcpt("joe@example.org")
            client.docmd("DATA")
            self.site.process.send_signal(signal.SIGTERM)
            wait_until("the stop to begin", lambda: "Hermes stops" in self.site.log())
            self.site.process.send_signal(signal.SIGTERM)
            self.assertEqual(self.site.process.wait(10), 1)
            client.close()
        self.assertNotIn("Traceback", self.site.log())
        self.site.start()

    def test_configuration_is_wrong(self) -> None:
        """The file, the line, the key and the remedy."""
        self.site.config.write_text(self.site.config.read_text().replace("submissions =", "submisions ="))
        output = self.refused()
        self.assertRegex(output, r"config\.ini:\d+: .*submisions.*submissions")

    def test_port_is_taken(self) -> None:
        """Which port, and that something else listens there."""
        with socket.create_server(("127.0.0.1", self.site.ports["pop3"])):
            self.assertIn(f"127.0.0.1:{self.site.ports['pop3']}", self.refused())

    def test_store_is_in_use(self) -> None:
        """A second server on the same data is refused."""
        self.site.start()
        text = self.site.config.read_text()
        for port in self.site.ports.values():
            text = text.replace(f":{port}", f":{free_ports(1)[0]}")
        other = self.site.directory / "other.ini"
        other.write_text(text.replace("unix:", "unix:/tmp/not-used-").replace(str(self.site.lmtp), "x.sock"))
        done = self.site.hermes("run", "-c", str(other), check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertNotIn(b"Traceback", done.stdout + done.stderr)

    def test_store_cannot_be_opened(self) -> None:
        """A store that is no store is named."""
        spool = self.site.data / "spool"
        spool.mkdir(exist_ok=True)
        self.site.start()
        self.site.stop()
        for path in spool.glob("*.sqlite*"):
            path.write_bytes(b"this is not a database" * 1000)
        self.assertIn("spool", self.refused())

    def test_check(self) -> None:
        """The check passes before the first start, while it runs, and afterwards."""
        for act in (lambda: None, self.site.start, self.site.stop):
            act()
            self.site.hermes("check", "-c", str(self.site.config))

    def test_twistd(self) -> None:
        """``twistd hermes`` starts the same server."""
        twistd = Path(sys.executable).with_name("twistd")
        with (self.site.root / "server.log").open("wb") as log:
            self.site.process = subprocess.Popen(
                [twistd, "-n", "--pidfile=", "hermes", "-c", self.site.config],
                stdout=log,
                stderr=log,
                cwd=self.site.root,
            )
        wait_until("the server", self.site._answers)
        with smtplib.SMTP("127.0.0.1", self.site.ports["smtp"]) as client:
            client.sendmail("s@example.net", ["joe@example.org"], "Subject: twistd\r\n\r\nhello\r\n")
        self.site.wait_for_messages(1)
        # twistd stops in order, and then dies of the signal that it was sent, as its parent may want to know.
        self.assertEqual(self.site.stop(), -signal.SIGTERM)
        self.assertIn("Hermes stops", self.site.log())

    def test_notify(self) -> None:
        """Systemd is told when everything listens, and when it stops."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            path = str(self.site.root / "notify")
            manager.bind(path)
            manager.settimeout(120)
            os.environ["NOTIFY_SOCKET"] = path
            self.addCleanup(os.environ.pop, "NOTIFY_SOCKET", None)
            self.site.start()
            heard = [manager.recv(200)]
            while b"READY=1" not in heard[-1]:
                heard.append(manager.recv(200))
            self.site.stop()
            while b"STOPPING=1" not in heard[-1]:
                heard.append(manager.recv(200))

    def test_socket_activation(self) -> None:
        """A socket that systemd opened is used by its name."""
        text = self.site.config.read_text()
        place = f"127.0.0.1:{self.site.ports['smtp']}"
        self.site.config.write_text(text.replace(f"listen = {place}", "listen = systemd:smtp", 1))
        with (
            socket.create_server(("127.0.0.1", self.site.ports["smtp"])) as given,
            (self.site.root / "server.log").open("wb") as log,
        ):
            script = (
                f"import os, sys; os.dup2({given.fileno()}, 3); os.environ.update(LISTEN_FDS='1', LISTEN_FDNAMES='smtp',"
                " LISTEN_PID=str(os.getpid())); os.execv(sys.executable, [sys.executable, '-m', 'hermes.cli.main',"
                f" 'run', '-c', {str(self.site.config)!r}])"
            )
            self.site.process = subprocess.Popen(
                [sys.executable, "-c", script], pass_fds=[given.fileno()], stdout=log, stderr=log
            )
        wait_until("the server", self.site._answers)


class RunningTests(SynchronousTestCase):
    """A server that runs."""

    def setUp(self) -> None:
        """Start it."""
        self.site = Site()
        self.addCleanup(self.site.close)

    def hang_up(self) -> None:
        """Ask for a reload, as systemd does."""
        assert self.site.process is not None
        self.site.process.send_signal(signal.SIGHUP)

    def greeting(self, port: int) -> bytes:
        """What a port says."""
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as connection:
                return connection.recv(100)
        except OSError:
            return b""

    def test_reload(self) -> None:
        """A new port and a new limit are in force, the old port is closed, and nobody was interrupted."""
        self.site.start()
        (new,) = free_ports(1)
        old = self.site.ports["pop3"]
        with smtplib.SMTP("127.0.0.1", self.site.ports["smtp"]) as client:
            text = self.site.config.read_text().replace(f"listen = 127.0.0.1:{old}", f"listen = 127.0.0.1:{new}")
            self.site.config.write_text(text.replace("[pop3]", "max_size = 1234\n\n[pop3]", 1))
            self.hang_up()
            wait_until("the new port", lambda: self.greeting(new).startswith(b"+OK"))
            wait_until("the old port to close", lambda: self.greeting(old) == b"")
            self.assertEqual(client.noop()[0], 250)
        with smtplib.SMTP("127.0.0.1", self.site.ports["smtp"]) as client:
            client.ehlo()
            self.assertEqual(client.esmtp_features["size"], "1234")

    def test_reload_of_nonsense(self) -> None:
        """A configuration that is wrong changes nothing, and the log says why."""
        self.site.start()
        good = self.site.config.read_text()
        self.site.config.write_text(good.replace("[pop3]", "max_size = many\n\n[pop3]", 1))
        self.hang_up()
        wait_until("the complaint", lambda: "max_size" in self.site.log())
        done = self.site.hermes("reload", "-c", str(self.site.config), check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"max_size", done.stdout + done.stderr)
        self.assertTrue(self.greeting(self.site.ports["smtp"]).startswith(b"220"))

    def test_status(self) -> None:
        """The command line asks the running server."""
        self.site.start()
        self.assertIn("connections", self.site.ask("status"))

    def test_commands_without_a_server(self) -> None:
        """Reading works when it is down; commands that change it say that it is down."""
        self.site.start()
        self.site.stop()
        self.assertEqual(self.site.ask("queue", "list"), [])
        done = self.site.hermes("queue", "retry", "-c", str(self.site.config), check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"not running", (done.stdout + done.stderr).lower().replace(b"isn't", b"is not"))

    def test_manhole(self) -> None:
        """A key enters, and the names answer."""
        if missing := need("ssh", "ssh-keygen"):
            self.skipTest(missing)
        (port,) = free_ports(1)
        key = self.site.root / "key"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
        keys = self.site.root / "authorized_keys"
        keys.write_bytes(key.with_suffix(".pub").read_bytes())
        with self.site.config.open("a") as file:
            file.write(f"\n[manhole]\nlisten = 127.0.0.1:{port}\nauthorized_keys = {keys}\n")
        self.site.start()
        done = run(
            "ssh", "-tt", "-p", str(port), "-i", key, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
            "-o", "IdentitiesOnly=yes", "admin@127.0.0.1", stdin="help()\rconfig()\rsessions()\r\x04", check=False,
        )  # fmt: skip
        output = done.stdout.decode(errors="replace")
        self.assertIn("track(query)", output)
        self.assertIn("smtp.submission", output)
