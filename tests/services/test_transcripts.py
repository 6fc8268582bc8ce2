"""Transcripts of whole sessions: what is in them, for whom they are made, and that no secret ever gets into one."""

from __future__ import annotations

import base64
import hashlib
import os
import random
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.schema import AccessSettings
from hermes.config.sections.transcripts import TranscriptsSettings
from hermes.core.address_range import AddressRange
from hermes.net import tls
from hermes.policy.access import Access
from hermes.services import transcript_files
from hermes.services.transcript import PIECE_OCTETS, PIECE_SECONDS, Transcript
from hermes.services.transcript_files import Place, TranscriptFiles, list_transcripts, perform_transcripts
from hermes.services.transcripts import MAX_DEMAND_SECONDS, MAX_DEMANDS, Transcripts
from tests.support import pop3, smtp_site
from tests.support.mailbox import MailboxRealm, MemoryMailbox
from tests.support.smtp_site import NOON, PASSWORD, plain
from tests.support.worker import ImmediateWorker

CLIENT, OTHER = "192.0.2.7", "198.51.100.7"

#: What nobody may find in a file, in whatever form.
SECRETS = (PASSWORD, "Tr0ub4dor&3-s3cret", "p\u00e4ssw\u00f6rter")


class TranscriptsTestCase(SynchronousTestCase):
    """Transcripts in a directory of the test's own."""

    def setUp(self) -> None:
        """The directory, and a worker that does all at once."""
        self.clock = Clock()
        self.clock.advance(NOON)
        self.worker = ImmediateWorker()
        self.worker.start(perform_transcripts)
        self.directory = self.mktemp()
        self.files = TranscriptFiles(self.worker, self.clock.seconds)
        self.transcripts = Transcripts(self.clock, self.clock.seconds, self.files)

    def configure(self, access: dict[str, AccessSettings] | None = None, **settings: Any) -> None:
        """Let these settings be in force."""
        self.transcripts.reconfigure(
            TranscriptsSettings(directory=self.directory, **settings), Access(access) if access else None
        )

    def smtp(self, **settings: Any) -> smtp_site.Site:
        """A site whose sessions may be written down."""
        site = smtp_site.Site(**settings)
        site.factory._context = attrs.evolve(site.factory._context, transcripts=self.transcripts)
        return site

    def pop3(self) -> pop3.Site:
        """The same for POP3; its one account is ada, with the password ``secret``."""
        site = pop3.Site(MailboxRealm(ada=MemoryMailbox(b"Subject: x\n\ntext\n")))
        site.factory.transcripts = self.transcripts
        return site

    def written(self) -> list[str]:
        """What is in the files, oldest first."""
        return [Path(self.directory, name).read_text() for name in list_transcripts(self.directory)]

    def lines(self) -> list[str]:
        """Who said what in the one transcript there is, without times."""
        (text,) = self.written()
        return [line[10:] for line in text.splitlines()[2:]]


class SessionTests(TranscriptsTestCase):
    """What a transcript holds."""

    def test_smtp(self) -> None:
        """Each line as it was said and when; of a message how many octets it had, counted as for SIZE (RFC 1870 3)."""
        self.configure(services=("smtp",))
        site = self.smtp()
        client = site.connect(greet=None)
        site.clock.advance(2)
        self.clock.advance(2)
        client.say("HELO client.example.com", "MAIL FROM:<a@example.com>", "RCPT TO:<alice@example.org>", "DATA")
        client.say("Subject: x", "", "..hidden", ".")
        client.say("QUIT")
        client.leave()
        (text,) = self.written()
        head, legend, first, *_ = text.splitlines()
        self.assertIn("smtp", head)
        self.assertIn(CLIENT, head)
        self.assertIn("service smtp", head)
        self.assertIn("blanked", legend)
        self.assertEqual(first, "    0.000 <  220 mx.example.org ESMTP Hermes")
        self.assertIn("    2.000 >  HELO client.example.com\n", text)
        self.assertEqual(
            self.lines()[1:-1],
            [
                ">  HELO client.example.com",
                "<  250 mx.example.org Hello client.example.com",
                ">  MAIL FROM:<a@example.com>",
                "<  250 2.1.0 Sender ok",
                ">  RCPT TO:<alice@example.org>",
                "<  250 2.1.5 Recipient ok",
                ">  DATA",
                "<  354 Send the message, and end it with a dot on a line of its own",
                ">  [23 octets of a message]",
                self.lines()[10],
                ">  QUIT",
                "<  221 2.0.0 Goodbye",
            ],
        )
        self.assertTrue(self.lines()[-1].startswith("-- closed: "))
        self.assertNotIn("hidden", text)

    def test_chunks(self) -> None:
        """Chunks are counted one by one, those that nobody wanted too."""
        self.configure(services=("smtp",))
        client = self.smtp(max_size=100).connect()
        client.say("MAIL FROM:<a@example.com>", "RCPT TO:<alice@example.org>")
        client.send(b"BDAT 6\r\nA: b\r\n" + b"BDAT 3 LAST\r\n\r\nx")
        client.send(b"BDAT 5\r\nhello")
        client.leave()
        self.assertEqual(
            [line for line in self.lines() if "octets of a message" in line],
            [">  [6 octets of a message]", ">  [3 octets of a message]", ">  [5 octets of a message]"],
        )

    def test_bodies(self) -> None:
        """Asked for, messages are written down line by line, in both directions."""
        self.configure(services=("smtp", "pop3"), bodies=True)
        client = self.smtp().connect()
        client.say("MAIL FROM:<a@example.com>", "RCPT TO:<alice@example.org>", "DATA")
        client.send(b"Subject: \x1b[31mred\r\n\r\nte")
        client.send(b"xt\r\n.\r\n")
        client.leave()
        lines = self.lines()
        start = lines.index(">  | Subject: \\x1b[31mred")
        self.assertEqual(lines[start + 1 : start + 3], [">  | ", ">  | text"])
        for name in list_transcripts(self.directory):
            os.unlink(os.path.join(self.directory, name))
        reader = self.pop3().log_in("ada")
        reader.say("RETR 1", "QUIT")
        lines = self.lines()
        start = lines.index("<  | Subject: x")
        self.assertEqual(lines[start + 1 : start + 5], ["<  | ", "<  | text", "<  | .", "<  [23 octets of a message]"])

    def test_message_without_line_ends(self) -> None:
        """Not even a message of one line makes a transcript hold more than a piece."""
        self.configure(services=("smtp",), bodies=True)
        client = self.smtp().connect()
        client.say("MAIL FROM:<a@example.com> BODY=BINARYMIME", "RCPT TO:<alice@example.org>")
        client.send(b"BDAT 100000 LAST\r\n" + b"x" * 100_000)
        client.leave()
        (text,) = self.written()
        self.assertEqual(text.count("x" * PIECE_OCTETS), 100_000 // PIECE_OCTETS)
        self.assertEqual(text.count("| " + "x" * 10), sum(line.startswith(">  | x") for line in self.lines()))

    def test_message_that_does_not_end(self) -> None:
        """A connection that is lost within a message leaves the number of octets that had come."""
        self.configure(services=("smtp",), bodies=True)
        client = self.smtp().connect()
        client.say("MAIL FROM:<a@example.com>", "RCPT TO:<alice@example.org>", "DATA")
        client.send(b"A: b\r\n\r\nabc\r\nde")
        client.leave()
        self.assertIn("octets of a message that did not end]", self.lines()[-2])

    def test_pop3(self) -> None:
        """A session of POP3; a message that is fetched is counted as it goes out, its end included."""
        self.configure(services=("pop3",))
        client = self.pop3().connect()
        client.say("USER ada", "PASS secret", "RETR 1", "UIDL", "QUIT")
        self.assertEqual(
            self.lines()[1:12],
            [
                ">  USER ada",
                "<  +OK send PASS",
                ">  PASS [blanked]",
                "-- logged in: ada",
                "<  +OK mailbox open",
                ">  RETR 1",
                "<  +OK 20 octets",
                "<  [23 octets of a message]",
                ">  UIDL",
                "<  +OK listing follows",
                "<  1 uid-1",
            ],
        )

    def test_before_and_under_tls(self) -> None:
        """What is said before TLS and under it is in one transcript, with a mark between."""
        self.configure(services=("smtp",))
        site = self.smtp()
        client = site.connect()
        client.say("STARTTLS")
        self.patch(tls, "describe", lambda transport: "TLSv1.3 X")
        client.say("EHLO again.example.com", "NOOP")
        client.leave()
        lines = self.lines()
        self.assertIn(">  STARTTLS", lines)
        self.assertEqual(lines[lines.index("-- under TLS: TLSv1.3 X") + 1], ">  EHLO again.example.com")
        self.assertEqual(sum("under TLS" in line for line in lines), 1)

    def test_front_end(self) -> None:
        """A front end that says for whom it speaks is noted; so is the next client of the same connection."""
        from ipaddress import ip_network

        self.configure(networks=(AddressRange.parse(CLIENT),))
        site = self.smtp(front_ends=(ip_network("127.0.0.1/32"),))
        client = site.connect("127.0.0.1")
        self.assertEqual(self.written(), [])
        client.say(f"XCLIENT ADDR={CLIENT}")
        client.say(f"XCLIENT ADDR={OTHER}")
        client.leave()
        notes = [line for line in self.lines() if "says that the client is" in line]
        self.assertEqual(notes, [f"-- 127.0.0.1 says that the client is {each}" for each in (CLIENT, OTHER)])

    def test_limit(self) -> None:
        """A transcript ends at its size, and says so; the session goes on."""
        self.configure(services=("smtp",), size=600)
        client = self.smtp().connect()
        for _ in range(100):
            client.say("NOOP")
        self.assertEqual(client.say("NOOP"), ["250 2.0.0 Ok"])
        client.leave()
        (text,) = self.written()
        self.assertIn("the transcript is full", text.splitlines()[-1])
        self.assertLessEqual(len(text), 600 + 100)

    def test_seen_soon(self) -> None:
        """Who looks on sees what was said within a second, and a long silence keeps no timer."""
        self.configure(services=("smtp",))
        client = self.smtp().connect()
        self.clock.advance(PIECE_SECONDS)
        self.assertIn(">  EHLO client.example.com", self.lines())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        client.say("NOOP")
        client.leave()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class SecretTests(TranscriptsTestCase):
    """No password gets into a file, in whatever form and however cut."""

    def dialogues(self, secret: str) -> Iterator[tuple[str, list[bytes]]]:
        """Sessions in which a secret is said: in its place, too early, too late, and in the words of other protocols."""
        raw = secret.encode()
        encoded = base64.b64encode(raw)
        initial = base64.b64encode(b"\0alice\0" + raw)
        digest = hashlib.md5(b"<1@x>" + raw).hexdigest().encode()
        bearer = base64.b64encode(b"user=alice\1auth=Bearer " + raw + b"\1\1")
        name = base64.b64encode(b"alice")
        cram = base64.b64encode(b"alice " + digest)
        smtp = [
            [b"EHLO x", b"AUTH PLAIN " + initial],
            [b"EHLO x", b"auth plain " + initial, b"AUTH PLAIN", initial],
            [b"EHLO x", b"AUTH PLAIN =", b"AUTH PLAIN", b"*", initial],
            [b"EHLO x", b"AUTH LOGIN", name, encoded],
            [b"EHLO x", b"AUTH LOGIN " + name, encoded, encoded, encoded],
            [b"EHLO x", b"AUTH LOGIN", raw, raw],
            [b"EHLO x", b"AUTH CRAM-MD5", cram],
            [b"EHLO x", b"AUTH XOAUTH2 " + bearer, b"AUTH OAUTHBEARER", bearer],
            [b"AUTH PLAIN " + initial, b"AUTH LOGIN", name, encoded],
            [
                b"EHLO x",
                b"AUTH " + encoded,
                b"AUTH  PLAIN  " + initial,
                b"AUTH PLAIN " + initial + b" x",
                b"AUTH\t" + initial,
            ],
            [b"EHLO x", b"AUTH PLAIN " + initial + b"\0", b"AUTH PLAIN \xff" + initial],
            [b"EHLO x", b"USER alice", b"PASS " + raw, b"APOP alice " + digest, b"1 LOGIN alice " + raw],
            [b"EHLO x", b"NOOP " + raw, b"RSET " + encoded, b"HELP " + raw, b"QUIT " + raw],
            [b"EHLO x", b"NOOP\rPASS " + raw, b"EHLO x\rAUTH PLAIN " + initial],
            [b"EHLO x", b"AUTH PLAIN " + initial + b"x" * 20_000, initial],
            [b"EHLO x", b"STARTTLS", b"AUTH PLAIN " + initial],
            [raw, encoded, initial, digest, b" " + raw, raw + b" x"],
            [b"EHLO x", b"MAIL FROM:<a@example.com>", b"RCPT TO:<alice@example.org>", b"DATA", raw, b".", raw],
            [b"EHLO x", b"AUTH PLAIN " + initial + b"\nPASS " + raw],
        ]
        for lines in smtp:
            yield "smtp", lines
        for lines in [
            [b"USER ada", b"PASS " + raw],
            [b"user ada", b"pass " + raw, b" PASS " + raw, b"PASS" + raw, b"PASS\t" + raw],
            [b"USER ada " + raw, b"APOP ada " + digest, b"APOP " + raw],
            [b"AUTH PLAIN " + initial, b"AUTH PLAIN", initial, initial],
            [b"AUTH LOGIN", name, encoded, encoded],
            [b"AUTH " + encoded, b"RETR " + raw, b"LIST " + encoded, b"NOOP " + raw, b"CAPA " + raw],
            [b"PASS " + raw + b"\rx", b"EHLO x", b"AUTH XOAUTH2 " + bearer, bearer],
            [raw, encoded, initial],
        ]:
            yield "pop3", lines

    def forms(self, secret: str) -> set[str]:
        """The forms in which somebody would find it again."""
        raw = secret.encode()
        found = {secret, raw.hex(), raw[::-1].decode("latin-1"), hashlib.md5(b"<1@x>" + raw).hexdigest()}
        for lead in range(3):
            # In the middle of other base64 it looks different by where it begins; the outer characters depend on neighbors.
            text = base64.b64encode(b"x" * lead + raw).decode()
            found.add(text[(0, 2, 3)[lead] : len(text) - 4])
        return {form.lower() for form in found}

    def talk(self, service: str, pieces: list[bytes]) -> None:
        """One session, to its end."""
        if service == "smtp":
            client = self.smtp(auth_without_tls="loopback").connect("127.0.0.1", None)
            for piece in pieces:
                client.send(piece)
                client.site.clock.advance(10)
            client.leave()
            return
        site = self.pop3()
        reader = site.connect()
        for piece in pieces:
            reader.send(piece)
            site.clock.advance(2)
        reader.wire.drop()

    def no_secret(self, cut: Callable[[bytes], list[bytes]]) -> None:
        """Talk all dialogues in pieces, and look for the secrets."""
        self.configure(services=("smtp", "pop3"), max_files=10_000)
        for secret in SECRETS:
            for service, lines in self.dialogues(secret):
                self.talk(service, cut(b"".join(line + b"\r\n" for line in lines)))
        written = self.written()
        self.assertEqual(len(written), len(SECRETS) * 27)
        for text in written:
            for form in (form for secret in SECRETS for form in self.forms(secret)):
                self.assertNotIn(form, text.lower())

    def test_line_by_line(self) -> None:
        """As clients say it that wait for each answer."""
        self.no_secret(lambda octets: [line + b"\n" for line in octets.split(b"\n")])

    def test_at_once(self) -> None:
        """As clients say it that wait for nothing: what follows a refused login is a command to us, and a password to them."""
        self.no_secret(lambda octets: [octets])

    def test_single_octets(self) -> None:
        """However small the pieces are, lines are written down and not pieces."""
        self.no_secret(lambda octets: [octets[at : at + 1] for at in range(len(octets[:1500]))])

    def test_cut_anywhere(self) -> None:
        """Pieces of any size."""
        dice = random.Random(7)

        def cut(octets: bytes) -> list[bytes]:
            places = sorted(dice.choices(range(len(octets)), k=5))
            return [octets[a:b] for a, b in zip([0, *places], [*places, len(octets)], strict=True)]

        self.no_secret(cut)

    def test_login_that_is_cut_off(self) -> None:
        """A line whose end never comes is not a line, and is not written down."""
        self.configure(services=("smtp", "pop3"))
        self.talk("smtp", [b"EHLO x\r\nAUTH PLAIN " + plain().encode()])
        self.talk("pop3", [b"USER ada\r\nPASS " + PASSWORD.encode()])
        for text in self.written():
            self.assertNotIn(plain(), text)
            self.assertNotIn(PASSWORD, text)


class ChoiceTests(TranscriptsTestCase):
    """Which sessions are written down."""

    def session(self, peer: str = CLIENT, account: bool = False) -> bool:
        """Whether a session with that peer is written down."""
        before = len(list_transcripts(self.directory))
        client = self.smtp().connect(peer)
        if account:
            client.say("STARTTLS")
            client.say("EHLO x", f"AUTH PLAIN {plain('alice')}")
        client.leave()
        return len(list_transcripts(self.directory)) > before

    def test_none(self) -> None:
        """By default none, and then there is not even a directory."""
        self.configure()
        self.assertFalse(self.session(account=True))
        self.assertFalse(os.path.exists(self.directory))

    def test_services(self) -> None:
        """Every session of a service, and none of another."""
        self.configure(services=("pop3",))
        self.assertFalse(self.session())
        self.configure(services=("smtp",))
        self.assertTrue(self.session())

    def test_networks(self) -> None:
        """Clients of a range; who has no address is in none."""
        self.configure(networks=(AddressRange.parse("192.0.2.0/24"), AddressRange.parse("2001:db8::/32")))
        self.assertEqual(
            [self.session(peer) for peer in (CLIENT, OTHER, "2001:db8::7", "192.0.3.0", "unknown")],
            [True, False, True, False, False],
        )

    def test_accounts(self) -> None:
        """Sessions of an account, whatever case its name is written in, from the login on."""
        self.configure(accounts=("Alice",))
        self.assertFalse(self.session())
        self.assertTrue(self.session(account=True))
        self.assertIn("account alice, from the login on", self.written()[0])
        self.assertEqual(self.lines()[0], "<  235 2.7.0 Logged in")
        self.configure(accounts=("bob",))
        self.assertFalse(self.session(account=True))

    def test_access_entries(self) -> None:
        """Peers of an entry of connection control with log = yes."""
        ranges = (AddressRange.parse(CLIENT),)
        for log in (True, False):
            self.configure(access={"odd": AccessSettings(ranges, log=log)})
            self.assertEqual([self.session(CLIENT), self.session(OTHER)], [log, False])
        self.assertIn("written down for access.odd", self.written()[0])

    def test_on_demand(self) -> None:
        """What an administrator asks for holds for its time, beside the settings, and through a reload."""
        self.configure()
        for kind, text, peer in (
            ("ip", "192.0.2.0/24", CLIENT),
            ("service", "smtp", OTHER),
            ("account", "ALICE", OTHER),
        ):
            self.transcripts.ask_for(kind, text, 60)
            self.configure()
            self.clock.advance(59)
            self.assertTrue(self.session(peer, account=True), kind)
            self.clock.advance(1)
            self.assertFalse(self.session(peer, account=True), kind)
        self.assertEqual(self.transcripts.demands(), [])

    def test_withdrawn(self) -> None:
        """One can be ended, or all."""
        self.configure()
        for text in ("192.0.2.0/24", "198.51.100.0/24"):
            self.transcripts.ask_for("ip", text, 60)
        self.assertEqual(self.transcripts.withdraw("ip", "192.0.2.0/24"), 1)
        self.assertEqual((self.session(CLIENT), self.session(OTHER)), (False, True))
        self.assertEqual(self.transcripts.withdraw("ip", "192.0.2.0/24"), 0)
        self.assertEqual(self.transcripts.withdraw(), 1)
        self.assertFalse(self.session(OTHER))

    def test_asked_again(self) -> None:
        """Asking again gives it new time, and does not count twice."""
        self.transcripts.ask_for("ip", CLIENT, 60)
        self.clock.advance(50)
        demand = self.transcripts.ask_for("ip", CLIENT, 60)
        self.assertEqual(self.transcripts.demands(), [demand])
        self.assertEqual(self.transcripts.left(demand), 60)

    def test_what_can_be_asked_for(self) -> None:
        """Servers, ranges and times that there are, and not more than can be looked through."""
        for kind, text, seconds in (
            ("service", "imap", 60),
            ("ip", "nowhere", 60),
            ("account", "", 60),
            ("ip", CLIENT, 0),
            ("ip", CLIENT, MAX_DEMAND_SECONDS + 1),
        ):
            self.assertRaises(ValueError, self.transcripts.ask_for, kind, text, seconds)
        self.transcripts.ask_for("ip", CLIENT, MAX_DEMAND_SECONDS)
        for number in range(MAX_DEMANDS - 1):
            self.transcripts.ask_for("account", f"a{number}", 60)
        self.assertRaises(ValueError, self.transcripts.ask_for, "account", "one-more", 60)
        self.transcripts.ask_for("ip", CLIENT, 60)


class StoredTests(TranscriptsTestCase):
    """The files."""

    def place(self, max_files: int = 3, keep_seconds: float = 1000) -> Place:
        """The directory of the test."""
        return Place(self.directory, max_files, keep_seconds)

    def told(self) -> list[str]:
        """What is said in the server's log from now on about transcripts that cannot be written."""
        told: list[str] = []

        def observe(event: LogEvent) -> None:
            if "why" in event:
                told.append(event["why"])

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        return told

    def test_closed_to_others(self) -> None:
        """Nobody but the server's user can read them."""
        self.configure(services=("smtp",))
        self.smtp().connect().leave()
        (name,) = os.listdir(self.directory)
        self.assertEqual(stat.S_IMODE(os.stat(self.directory).st_mode), 0o700)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(self.directory, name)).st_mode), 0o600)

    def test_names(self) -> None:
        """Names sort by time, and no peer can choose a way out of the directory."""
        for peer in ("192.0.2.1", "2001:db8::1", "../../etc/passwd", "", "x" * 1000):
            self.files.open(self.place(100), "smtp", peer)(b"x")
            self.clock.advance(1)
        names = list_transcripts(self.directory)
        self.assertEqual(len(names), 5)
        self.assertEqual([name.split("-")[-1] for name in names], ["1.txt", "2.txt", "3.txt", "4.txt", "5.txt"])
        self.assertIn("-smtp-2001_db8__1-", names[1])
        self.assertEqual(sorted(os.listdir(self.directory)), names)

    def test_number_of_files(self) -> None:
        """The oldest are removed; files of others are left alone."""
        os.makedirs(self.directory)
        Path(self.directory, "notes.txt").write_text("mine")
        for number in range(5):
            self.files.open(self.place(3), "smtp", CLIENT)(str(number).encode())
            self.clock.advance(1)
        self.assertEqual(self.written(), ["2", "3", "4"])
        self.assertTrue(os.path.exists(os.path.join(self.directory, "notes.txt")))

    def test_age(self) -> None:
        """Those that are too old are removed, also when no new ones come."""
        self.files.open(self.place(), "smtp", CLIENT)(b"old")
        self.clock.advance(999)
        self.files.open(self.place(), "smtp", CLIENT)(b"new")
        self.files.tidy(self.place())
        self.assertEqual(self.written(), ["old", "new"])
        self.clock.advance(2)
        self.files.tidy(self.place())
        self.assertEqual(self.written(), ["new"])
        self.configure(keep=1)
        self.clock.advance(1000)
        self.transcripts.tidy()
        self.assertEqual(self.written(), [])

    def test_nothing_to_tidy(self) -> None:
        """Without a directory there is nothing to remove, and none is made."""
        self.files.tidy(self.place())
        self.assertFalse(os.path.exists(self.directory))

    def test_not_through_links(self) -> None:
        """A name that is taken, or is a link, is not written to."""
        write = self.files.open(self.place(), "smtp", CLIENT)
        os.makedirs(self.directory)
        target = self.mktemp()
        at = "20260115T120000.000000Z"
        os.symlink(os.path.abspath(target), os.path.join(self.directory, f"{at}-smtp-{CLIENT}-1.txt"))
        write(b"x")
        self.assertFalse(os.path.exists(target))

    def test_full_disk(self) -> None:
        """What cannot be written is told once, and the session does not notice; afterwards it is told again."""
        Path(self.directory).write_text("not a directory")
        self.configure(services=("smtp",))
        for _ in range(2):
            client = self.smtp().connect()
            self.assertEqual(client.say("NOOP"), ["250 2.0.0 Ok"])
            client.leave()
        told = self.told()
        os.unlink(self.directory)
        self.files.open(self.place(), "smtp", CLIENT)(b"x")
        self.assertEqual(told, [])
        os.rename(self.directory, self.directory + ".old")
        Path(self.directory).write_text("not a directory")
        for _ in range(3):
            self.files.open(self.place(), "smtp", CLIENT)(b"x")
        self.assertEqual(len(told), 1)
        self.assertIn(self.directory, told[0])

    def test_slow_disk(self) -> None:
        """What waits for the disk is bounded: the rest is lost, and not the mail."""
        self.patch(transcript_files, "MAX_WAITING_OCTETS", 10)
        self.worker.paused = True
        write = self.files.open(self.place(), "smtp", CLIENT)
        told = self.told()
        for _ in range(3):
            write(b"12345")
        self.assertEqual(told, ["the disk is too slow for them, and parts are missing"])
        self.worker.resume()
        write(b"67890")
        self.assertEqual(self.written(), ["123451234567890"])

    def test_stopped(self) -> None:
        """A session that ends after the server has closed its files harms nobody."""
        write = self.files.open(self.place(), "smtp", CLIENT)
        self.files.stop()
        write(b"x")
        self.assertFalse(os.path.exists(self.directory))


class PieceTests(SynchronousTestCase):
    """How a transcript is handed on."""

    def test_pieces(self) -> None:
        """A session that says much holds no more than a piece; below that it waits its second."""
        clock = Clock()
        pieces: list[bytes] = []
        transcript = Transcript("smtp", "head\n", clock, pieces.append, lambda: None, max_octets=10**6, bodies=False)
        line = b"EHLO " + b"x" * 80 + b"\r\n"
        # Each is 99 octets with its time and mark, and the head has five.
        for _ in range((PIECE_OCTETS - 5) // 99):
            transcript.command(line)
        self.assertEqual(len(pieces), 0)
        transcript.command(line)
        self.assertEqual((len(pieces), clock.getDelayedCalls()), (1, []))
        transcript.close("over")
        self.assertEqual(len(pieces), 2)
        transcript.command(line)
        transcript.body(b"x")
        transcript.sent(b"250 x\r\n")
        self.assertEqual((len(pieces), clock.getDelayedCalls()), (2, []))
