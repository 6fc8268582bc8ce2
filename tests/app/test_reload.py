"""From one configuration to the next: all of it, or nothing."""

from __future__ import annotations

import os
import signal
import smtplib
import socket
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.logger import LogEvent, LogLevel, globalLogPublisher

from hermes.app.server import Server
from hermes.config.catalog import FIXED
from hermes.core.event import Event, Kind
from tests.support.certificates import make_certificate
from tests.support.ports import free_port
from tests.support.server import ServerTestCase, Talk, answers, descriptors, greeting


class ReloadTestCase(ServerTestCase):
    """A server with one door for SMTP."""

    async def running(self, more: str = "") -> Server:
        """Start it; ``place`` is where it listens, ``listen`` the section that says so."""
        self.port = free_port()
        self.place = ("127.0.0.1", self.port)
        self.listen = f"[smtp]\nlisten = 127.0.0.1:{self.port}\n"
        self.server = await self.start(self.listen + more)
        return self.server

    async def reload(self, more: str) -> None:
        """Take another configuration."""
        self.rewrite(more)
        self.assertEqual(await self.server.reload(), "The configuration is in force.")

    def name_in_use(self, name: str) -> None:
        """Give the configuration another hostname."""
        path = Path(self.path)
        path.write_text(path.read_text().replace("mail.example.org", name))


class InForceTests(ReloadTestCase):
    """A reload that succeeds."""

    async def test_the_same_port_answers_differently(self) -> None:
        """New sessions follow the new settings at the port that was never closed; the relay manager follows them too."""
        server = await self.running()
        port = server._listening["smtp"]._ports[f"127.0.0.1:{self.port}"][0]
        self.name_in_use("mx.example.org")
        await server.reload()
        self.assertEqual((await deferToThread(greeting, self.place))[:19], "220 mx.example.org ")
        self.assertIs(server._listening["smtp"]._ports[f"127.0.0.1:{self.port}"][0], port)
        self.assertEqual(server.settings.hermes.hostname, "mx.example.org")
        self.assertEqual(server.status()["hostname"], "mx.example.org")

    async def test_greeting_file(self) -> None:
        """The greeting file is read again; one that cannot be used is named, and then everything stays as it was."""
        server = await self.running()
        file = Path(server.settings.hermes.data) / "greeting.txt"
        file.write_text("No spam here\n")
        await self.reload(self.listen + "greeting_file = greeting.txt\n")
        talk = await deferToThread(Talk, self.place)
        self.assertEqual(talk.greeting, "220-mail.example.org ESMTP Hermes")
        self.assertEqual(await deferToThread(talk.line), "220 No spam here")
        talk.close()
        file.write_text("x" * 513)
        with self.assertRaises(ValueError) as caught:
            await self.server.reload()
        self.assertIn(f"[smtp] greeting_file: {file}: it has more than 512 characters", str(caught.exception))

    async def test_transcripts(self) -> None:
        """A reload says anew whose sessions are written down; the files are whole when the server has stopped."""
        server = await self.running("[transcripts]\nservices = smtp\n")
        directory = Path(server.settings.transcripts.directory)
        talk = await deferToThread(Talk, self.place)
        await self.reload(self.listen)
        other = await deferToThread(Talk, self.place)
        for each in (talk, other):
            self.assertEqual((await deferToThread(each.say, "QUIT"))[:3], "221")
            each.close()
        await self.reload(self.listen + "[access:odd]\naddresses = 127.0.0.0/8\nlog = yes\n")
        self.assertIn("220", await deferToThread(greeting, self.place))
        await server.service.stopService()
        first, second = (path.read_text() for path in sorted(directory.iterdir()))
        self.assertIn("written down for service smtp", first)
        self.assertIn(">  QUIT", first)
        self.assertIn("written down for access.odd", second)

    async def test_sessions_go_on(self) -> None:
        """A session goes on as it began, and is listed and counted through any number of reloads."""
        other = free_port()
        server = await self.running()
        before = await deferToThread(Talk, self.place)
        await self.reload(f"[smtp]\nlisten = 127.0.0.1:{self.port}, 127.0.0.1:{other}\n")
        first = await deferToThread(Talk, self.place)
        second = await deferToThread(Talk, ("127.0.0.1", other))
        self.assertEqual(len(server.sessions()), 3)
        await self.reload(f"[smtp]\nlisten = 127.0.0.1:{self.port}, 127.0.0.1:{other}\nmax_size = 1M\n")
        self.assertEqual(len(server.sessions()), 3)
        for talk in (before, first, second):
            self.assertEqual((await deferToThread(talk.say, "NOOP"))[:3], "250")
            self.assertEqual((await deferToThread(talk.say, "QUIT"))[:3], "221")
            self.assertEqual(await deferToThread(talk.line), "")
            talk.close()
        self.assertEqual(server.sessions(), [])

    async def test_doors_open_and_close(self) -> None:
        """What is new is opened, what is gone is closed, and its sessions end as they will."""
        smtp, pop3 = free_port(), free_port()
        server = await self.running()
        talk = await deferToThread(Talk, self.place)
        await self.reload(f"[smtp]\nlisten = 127.0.0.1:{smtp}\n[pop3]\nlisten = 127.0.0.1:{pop3}\n")
        self.assertFalse(answers(self.place))
        self.assertEqual((await deferToThread(greeting, ("127.0.0.1", pop3)))[:3], "+OK")
        self.assertEqual((await deferToThread(greeting, ("127.0.0.1", smtp)))[:3], "220")
        self.assertEqual(server.status()["smtp_listens"], f"127.0.0.1:{smtp}")
        self.assertIn("127.0.0.1", [session["peer"] for session in server.sessions()])
        self.assertEqual((await deferToThread(talk.say, "NOOP"))[:3], "250")
        talk.close()

    async def test_certificate(self) -> None:
        """A certificate is taken into use, replaced and given up; STARTTLS is offered accordingly."""
        server = await self.running()
        self.assertIsNone(server._tls)
        shown = []
        for name in ("one.example.org", "two.example.org"):
            certificate, key = make_certificate(Path(self.mktemp()).absolute(), name)
            await self.reload(self.listen + f"[tls]\ncertificate = {certificate}\nkey = {key}\n")
            shown.append(await deferToThread(self.certificate_shown))
        self.assertEqual(shown, ["one.example.org", "two.example.org"])
        await self.reload(self.listen)
        talk = await deferToThread(Talk, self.place)
        self.assertEqual((await deferToThread(talk.say, "HELO x"))[:3], "250")
        self.assertEqual((await deferToThread(talk.say, "STARTTLS"))[:3], "502")
        talk.close()

    async def test_certificates_by_name(self) -> None:
        """A certificate for another name is there after a reload, for those who ask for that name, and gone after the next."""
        directory = Path(self.mktemp()).absolute()
        server = await self.running()
        sections = ""
        for section, name in (("tls", "mail.example.org"), ("certificate:two", "mx.example.net")):
            certificate, key = make_certificate(directory, name)
            sections += f"[{section}]\ncertificate = {certificate}\nkey = {key}\n"
        await self.reload(self.listen + sections)
        self.assertEqual(await deferToThread(self.certificate_shown), "mail.example.org")
        self.assertEqual(await deferToThread(self.certificate_shown, "mx.example.net"), "mx.example.net")
        self.assertEqual(
            [each["names"] for each in server.status()["certificates"]], ["* mail.example.org", "mx.example.net"]
        )
        await self.reload(self.listen + sections.partition("[certificate")[0])
        self.assertEqual(await deferToThread(self.certificate_shown, "mx.example.net"), "mail.example.org")

    def certificate_shown(self, name: str = "") -> str:
        """The name in the certificate that a client of STARTTLS sees who asks for that name."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with smtplib.SMTP(*self.place, local_hostname="client.example.com") as client:
            client._host = name or self.place[0]
            client.starttls(context=context)
            certificate = x509.load_der_x509_certificate(client.sock.getpeercert(True))
            return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)

    async def test_certificate_that_is_watched(self) -> None:
        """After a reload it is the new certificate whose renewal is looked for."""
        certificate, key = make_certificate(Path(self.mktemp()).absolute())
        server = await self.running()
        await self.reload(self.listen + f"[tls]\ncertificate = {certificate}\nkey = {key}\n")
        (described,) = server.status()["certificates"]
        self.assertEqual((described["file"], described["days_left"]), (certificate, 30))

    async def test_limits(self) -> None:
        """Limits on peers hold from now on, for those too who are connected."""
        server = await self.running()
        await self.reload(self.listen + "[limits]\nconnections = 1\nexempt_loopback = no\n")
        talk = await deferToThread(Talk, self.place)
        self.assertEqual((await deferToThread(greeting, self.place))[:9], "421 4.7.0")
        talk.close()
        self.assertEqual(server.status()["connections"], 1)

    async def test_log_is_opened_anew(self) -> None:
        """A mail log that something else has moved away is begun again."""
        server = await self.running()
        log = self.data / "mail.log"
        log.rename(self.data / "moved")
        await self.reload(self.listen)
        server._stores._observe(Event(0.0, Kind.LOGIN))
        await server.service.stopService()
        self.assertIn("login", log.read_text())

    async def test_no_log_to_open(self) -> None:
        """Without a mail log a reload is none the worse."""
        await self.running("[log]\nfile =\n")
        await self.reload(self.listen + "[log]\nfile =\n")
        self.assertFalse((self.data / "mail.log").exists())

    async def test_hang_up(self) -> None:
        """SIGHUP has the same effect."""
        server = await self.running()
        self.name_in_use("mx.example.org")
        taken: Deferred[None] = Deferred()
        self.patch(server._stores, "reopen_log", lambda: taken.callback(None))
        signal.raise_signal(signal.SIGHUP)
        await taken
        self.assertEqual(server.settings.hermes.hostname, "mx.example.org")


class NothingChangesTests(ReloadTestCase):
    """A reload that cannot succeed leaves everything as it was."""

    async def refused(self, more: str, *words: str) -> None:
        """See that another configuration is refused with these words, and that nothing has changed."""
        server = self.server

        def state() -> list[object]:
            doors = [(each.places, [port for port, _ in each._ports.values()]) for each in server._listening.values()]
            targets = [switch.target for each in server._listening.values() for _, switch in each._ports.values()]
            parts = [server.settings, server._circle, server._tls, server._gate.settings, server._places]
            return [[id(part) for part in (*parts, *targets)], doors, sorted(os.listdir(self.data))]

        before, opened = state(), descriptors()
        self.rewrite(more)
        with self.assertRaises(ValueError) as caught:
            await server.reload()
        for word in words:
            self.assertIn(word, str(caught.exception))
        self.assertEqual(state(), before)
        # A store of ours may have closed its file meanwhile; what must not be is one more.
        self.assertLessEqual(descriptors(), opened)
        self.assertEqual((await deferToThread(greeting, self.place))[:21], "220 mail.example.org ")

    async def test_not_understood(self) -> None:
        """Every problem of the file is told."""
        await self.running()
        await self.refused(self.listen + "max_size = big\nmax_sise = 1M\n", "config.ini:7", "max_size", "max_sise")

    async def test_fixed(self) -> None:
        """What cannot be changed while the server runs is named."""
        await self.running()
        for key in FIXED:
            section, _, name = key.partition(".")
            values = {"format": "json", "level": "debug", "listen": "127.0.0.1:0", "active": "7", "workers": "7"}
            values |= {"shared": "yes", "sources": "sqlite", "long_turn_ms": "7"}
            value = values.get(name, "elsewhere")
            more = f"{name} = {value}\n" if section == "hermes" else f"[{section}]\n{name} = {value}\n"
            first, last = (more, self.listen) if section == "hermes" else (self.listen, more)
            await self.refused(first + last, key, "cannot be changed while the server runs: restart it")
        await self.refused(self.listen + "[log]\nfile = x\nformat = json\n", "log.file, log.format cannot")

    async def test_another_use(self) -> None:
        """A place cannot become another kind of listener."""
        await self.running()
        text = f"127.0.0.1:{self.port} is [smtp] listen and cannot become [pop3] listen while the server runs"
        await self.refused(f"[pop3]\nlisten = 127.0.0.1:{self.port}\n", text)

    async def test_overlap(self) -> None:
        """A place cannot be opened beside one that it contains, though that one is to be closed."""
        await self.running()
        await self.refused(f"[smtp]\nlisten = *:{self.port}\n", f"*:{self.port} cannot be opened beside 127.0.0.1")

    async def test_port_in_use(self) -> None:
        """A port that is taken: what was opened before it is closed again, sockets of files too."""
        await self.running()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            more = f"lmtp = unix:{self.data}/lmtp.sock\n[pop3]\nlisten = 127.0.0.1:{port}\n"
            await self.refused(self.listen + more, f"[pop3] listen: cannot listen at 127.0.0.1:{port}")

    async def test_certificate(self) -> None:
        """A certificate that cannot be used is named."""
        certificate, key = make_certificate(Path(self.mktemp()).absolute())
        _, other = make_certificate(Path(self.mktemp()).absolute())
        tls = "[tls]\ncertificate = {}\nkey = {}\n"
        await self.running(tls.format(certificate, key))
        await self.refused(self.listen + tls.format("none.pem", key), "data/none.pem: the certificate cannot be read")
        await self.refused(self.listen + tls.format(certificate, other), "does not belong to the certificate")

    async def test_authority(self) -> None:
        """So is an authority of the smart host."""
        await self.running()
        more = "[smarthost]\nhost = smtp.example.net\nauthority = none.pem\n"
        await self.refused(self.listen + more, "[smarthost] authority: ", "data/none.pem: No such file")

    async def test_book(self) -> None:
        """So is a book of the phone book, with the line that is wrong."""
        await self.running()
        more = f"[phonebook]\nlisten = 127.0.0.1:{free_port()}\nbooks = people.csv\n"
        await self.refused(self.listen + more, "people.csv: cannot be read: No such file or directory")
        (self.data / "people.csv").write_text("fish\nx\n")
        await self.refused(self.listen + more, "people.csv:1: ")

    async def test_while_another_is_going_on(self) -> None:
        """Two reloads do not mix; the first comes to its end."""
        server = await self.running()
        leaving: Deferred[None] = Deferred()

        async def stop() -> None:
            await leaving

        self.patch(server._circle, "stop", stop)
        first = Deferred.fromCoroutine(server.reload())
        with self.assertRaisesRegex(ValueError, "a reload is going on already"):
            await server.reload()
        leaving.callback(None)
        self.assertEqual(await first, "The configuration is in force.")
        self.assertEqual(await server.reload(), "The configuration is in force.")

    async def test_while_it_stops(self) -> None:
        """A server that is stopping opens nothing any more."""
        server = await self.running()
        port = free_port()
        self.rewrite(f"[smtp]\nlisten = 127.0.0.1:{port}\n")
        stopped = server.service.stopService()
        with self.assertRaisesRegex(ValueError, "the server is stopping"):
            await server.reload()
        await stopped
        self.assertFalse(answers(("127.0.0.1", port)))

    async def test_hang_up(self) -> None:
        """SIGHUP with a wrong file is told in the log, and nothing else happens."""
        server = await self.running()
        settings = server.settings
        self.rewrite("[nonsense]\n")
        told: Deferred[str] = Deferred()

        def listen(event: LogEvent) -> None:
            if event["log_level"] is LogLevel.error:
                told.callback(event["reason"])

        globalLogPublisher.addObserver(listen)
        self.addCleanup(globalLogPublisher.removeObserver, listen)
        signal.raise_signal(signal.SIGHUP)
        self.assertIn("nonsense", await told)
        self.assertIs(server.settings, settings)
