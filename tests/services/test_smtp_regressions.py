"""
What a mail server must never do with octets, each seen somewhere: Hermes's SMTP sessions are held to the contrary.

The areas are those of the table in the design: STARTTLS, long lines, pipelining, verbs, parameters, DATA, relaying.
"""

from __future__ import annotations

import tracemalloc
from itertools import product
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.envelope import BodyType
from hermes.protocols.smtp.events import Flavor
from tests.support.smtp_site import Client, Site, body_of, codes, plain

ENVELOPE = ("MAIL FROM:<writer@example.com>", "RCPT TO:<alice@example.org>")


class STARTTLSTests(SynchronousTestCase):
    """RFC 3207 4.2, 5."""

    def test_octets_behind_it(self) -> None:
        """What came in the clear behind STARTTLS is never looked at, neither before TLS nor inside it."""
        for behind in ("NOOP\r\n", "EHLO x\r\nMAIL FROM:<x@example.com>\r\n", "NOO", "\r\n" * 100):
            site = Site()
            client = site.connect()
            self.assertEqual(codes(client.send(f"STARTTLS\r\n{behind}".encode())), ["220"])
            self.assertEqual(len(client.wire.tls), 1)
            self.assertEqual(client.heard(), [])
            commands = client.session.describe()["commands"]
            self.assertEqual(codes(client.say("NOOP")), ["250"], behind)
            self.assertEqual(client.session.describe()["commands"], commands + 1)  # type: ignore[operator]

    def test_octets_while_waiting(self) -> None:
        """The same when they come while the client does not read its 220."""
        site = Site()
        client = site.connect()
        client.session._turns.pauseProducing()  # type: ignore[union-attr]
        self.assertEqual(codes(client.send(b"STARTTLS\r\n")), ["220"])
        self.assertEqual(client.wire.tls, [])
        client.send(b"MAIL FROM:<x@example.com>\r\n")
        client.session._turns.resumeProducing()  # type: ignore[union-attr]
        self.assertEqual(len(client.wire.tls), 1)
        self.assertEqual(client.heard(), [])
        self.assertEqual(codes(client.say("NOOP")), ["250"])

    def test_220_in_the_clear(self) -> None:
        """All that is owed, and the 220, leave before TLS begins."""
        client = Site().connect()
        client.wire.clear()
        client.say("NOOP", "STARTTLS")
        self.assertEqual(codes(client.wire.before_tls.decode().split("\r\n")), ["250", "220"])

    def test_nothing_survives(self) -> None:
        """Name, transaction and login from before are gone."""
        site = Site(auth_without_tls="loopback")
        client = site.connect("127.0.0.1")
        replies = client.say(f"AUTH PLAIN {plain()}", "MAIL FROM:<alice@example.org>", "STARTTLS")
        self.assertEqual(codes(replies), ["235", "250", "220"])
        self.assertEqual(codes(client.say("RCPT TO:<bob@example.org>", "MAIL FROM:<x@example.com>")), ["503", "503"])
        session = client.session.describe()
        self.assertEqual((session["hello"], session["account"]), ("", ""))
        self.assertEqual(site.realm.present, 0)
        client.say("EHLO x", "MAIL FROM:<x@example.com>")
        self.assertEqual(codes(client.say("RCPT TO:<y@example.net>")), ["550"])

    def test_message_does_not_survive(self) -> None:
        """A message that BDAT has begun is forgotten too."""
        site = Site()
        client = site.connect()
        client.say(*ENVELOPE)
        client.send(b"BDAT 2\r\n\r\nSTARTTLS\r\n")
        self.assertEqual((len(client.wire.tls), site.spool.aborted), (1, ["000000000001"]))

    def test_login_after_it(self) -> None:
        """After TLS and a new EHLO a login is offered, and Received: says how the message came."""
        site = Site(flavor=Flavor.SUBMISSION)
        client = site.connect()
        client.say("STARTTLS")
        self.assertIn("250 AUTH PLAIN LOGIN", client.say("EHLO client.example.com"))
        client.say(
            f"AUTH PLAIN {plain()}", "MAIL FROM:<alice@example.org>", "RCPT TO:<bob@example.org>", "DATA", "", "."
        )
        self.assertIn(" with ESMTPSA", site.spool.committed[0].text.replace("\n\t", " "))


class LongLineTests(SynchronousTestCase):
    """Lines of any length."""

    def test_body(self) -> None:
        """A long line in a message is part of the message; what follows it is text, not commands."""
        for length in (999, 16 * 1024, 16 * 1024 + 1, 200_000):
            site = Site()
            client = site.connect()
            client.say(*ENVELOPE, "DATA", "Subject: x", "", "x" * length, "QUIT", "RSET")
            self.assertFalse(client.wire.disconnecting)
            self.assertEqual(codes(client.say(".")), ["250"], length)
            expected = b"Subject: x\n\n" + b"x" * length + b"\nQUIT\nRSET\n"
            self.assertEqual(body_of(site.spool.committed[0].octets), expected)

    def test_command(self) -> None:
        """A command line that is too long is refused when it ends; the session goes on, and nothing of it is executed."""
        client = Site().connect()
        client.heard()
        self.assertEqual(client.send(b"NOOP " + b"x" * 100_000), [])
        self.assertEqual(client.send(b"RSET " * 1000), [])
        self.assertEqual(codes(client.send(b"\r\nNOOP\r\n")), ["500", "250"])

    def test_command_without_end(self) -> None:
        """A line that never ends takes no memory."""
        client = Site().connect()
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(64):
                client.send(b"x" * 65536)
            self.assertLess(tracemalloc.get_traced_memory()[0] - before, 256 * 1024)
        finally:
            tracemalloc.stop()


class PipeliningTests(SynchronousTestCase):
    """RFC 2920: answers come in the order of the commands, however long one takes."""

    def wait_in(self, site: Site, method: str) -> Deferred[None]:
        """Make the directory wait before it says anything about an address."""
        waiting: Deferred[None] = Deferred()
        resolve = site.directory.resolve

        async def slowly(address: str) -> Any:
            if not waiting.called:
                await waiting
            return await resolve(address)

        self.patch(site.directory, method, slowly)
        return waiting

    def test_order(self) -> None:
        """Nothing behind a command that waits is answered before it, and nothing is lost."""
        site = Site()
        client = site.connect()
        waiting = self.wait_in(site, "resolve")
        self.assertEqual(codes(client.say(*ENVELOPE, "RCPT TO:<nobody@example.org>")), ["250"])
        self.assertEqual(client.say("NOOP", "DATA"), [])
        self.assertTrue(client.wire.paused)
        waiting.callback(None)
        self.assertEqual(codes(client.heard()), ["250", "550", "250", "354"])
        self.assertFalse(client.wire.paused)
        self.assertEqual(codes(client.say("", ".")), ["250"])

    def test_sender_still_judged(self) -> None:
        """A RCPT that comes while MAIL is being judged waits for it."""
        site = Site(flavor=Flavor.SUBMISSION, implicit_tls=True)
        client = site.connect()
        client.say(f"AUTH PLAIN {plain()}")
        waiting = self.wait_in(site, "resolve")
        self.assertEqual(client.say("MAIL FROM:<sales@example.org>", "RCPT TO:<bob@example.org>", "DATA"), [])
        waiting.callback(None)
        self.assertEqual(codes(client.heard()), ["250", "250", "354"])

    def test_message_still_committed(self) -> None:
        """What comes behind a message waits until the message is on disk."""
        site = Site()
        client = site.connect()
        site.spool.commit_waits_for = Deferred()
        self.assertEqual(codes(client.say(*ENVELOPE, "DATA", "", ".", "NOOP", "QUIT")), ["250", "250", "354"])
        site.spool.commit_waits_for.callback(None)
        self.assertEqual(codes(client.heard()), ["250", "250", "221"])

    def test_login_still_judged(self) -> None:
        """What comes behind AUTH waits for it, and is executed as the account."""
        site = Site(flavor=Flavor.SUBMISSION, implicit_tls=True)
        client = site.connect()
        site.checker.waits_for = Deferred()
        self.assertEqual(client.say(f"AUTH PLAIN {plain()}", "MAIL FROM:<alice@example.org>"), [])
        site.checker.waits_for.callback(None)
        self.assertEqual(codes(client.heard()), ["235", "250"])

    def test_flood(self) -> None:
        """A flood of commands lets others run in between, and is answered in full."""
        site = Site()
        client = site.connect()
        other_ran = []
        site.clock.callLater(0, other_ran.append, True)
        client.session.dataReceived(b"NOOP\r\n" * 100)
        self.assertLess(len(codes(client.heard())), 100)
        site.clock.pump([0] * 10)
        self.assertEqual(other_ran, [True])
        client.wire.clear()
        self.assertEqual(client.session.describe()["commands"], 101)


class VerbTests(SynchronousTestCase):
    """What may be said, and what may not, never breaks the session."""

    def test_every_server_answers(self) -> None:
        """NOOP, VRFY, HELP and RSET work at any time, with and without arguments."""
        client = Site().connect(greet=None)
        client.heard()
        for command, expected in product(("NOOP", "noop x y", "HELP", "HELP MAIL", "RSET"), ("2",)):
            self.assertTrue(client.say(command)[-1].startswith(expected), command)
        self.assertEqual(codes(client.say("VRFY alice", "vrfy <nobody@example.org>", "EXPN list")), ["252"] * 3)

    def test_help(self) -> None:
        """HELP names the commands that this listener knows, and no others."""
        self.assertIn("EHLO HELO STARTTLS", Site().connect().say("HELP")[0])
        lmtp = Site(flavor=Flavor.LMTP).connect(greet="LHLO client.example.com").say("HELP")[0]
        self.assertIn("LHLO STARTTLS", lmtp)
        self.assertNotIn("EHLO", lmtp)

    def test_strange(self) -> None:
        """Whatever is no command is refused with 5xx, and the session goes on."""
        for octets in (
            b"AUTH\r\n",
            b"AUTH \r\n",
            b"AUTH PLAIN =\r\n",
            b"\r\n",
            b" \r\n",
            b"\xff\xfe\r\n",
            "NOÖP\r\n".encode(),
            "MÄIL FROM:<x@example.com>\r\n".encode(),
            b"__init__\r\n",
            b"UNKNOWN\r\n",
            b"LINERECEIVED x\r\n",
            b"MAIL\r\n",
            b"RCPT\r\n",
            b"MAIL FROM:\r\n",
            b"EHLO\r\n",
            b"EHLO \x00\r\n",
            b"NOOP\x00\r\n",
        ):
            client = Site(flavor=Flavor.SUBMISSION, implicit_tls=True).connect()
            (reply,) = codes(client.send(octets))
            self.assertEqual(reply[0], "5", octets)
            self.assertEqual(codes(client.say("NOOP")), ["250"], octets)


class ParameterTests(SynchronousTestCase):
    """Parameters of MAIL and RCPT are obeyed."""

    def test_size(self) -> None:
        """A declared size is judged at MAIL, at the limit and above it, and told to the mailboxes."""
        for size, expected in ((99, "250"), (100, "250"), (101, "552")):
            site = Site(max_size=100)
            self.assertEqual(codes(site.connect().say(f"MAIL FROM:<x@example.com> SIZE={size}")), [expected])
        client = site.connect()
        client.say("MAIL FROM:<x@example.com> SIZE=77", "RCPT TO:<alice@example.org>")
        self.assertEqual(site.mailboxes.asked, [("alice", 77)])

    def test_kept(self) -> None:
        """BODY, SMTPUTF8 and the parameters of DSN reach the envelope."""
        site = Site()
        client = site.connect()
        client.say("MAIL FROM:<ü@example.com> BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=x")
        client.say("RCPT TO:<alice@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a@example.org", "DATA", "", ".")
        envelope = site.spool.committed[0].message.envelope
        self.assertEqual((envelope.reverse_path, envelope.body), ("ü@example.com", BodyType.EIGHT_BIT))
        self.assertEqual((envelope.smtputf8, envelope.ret, envelope.envid), (True, "FULL", "x"))
        self.assertEqual(envelope.recipients[0].notify, frozenset({"SUCCESS", "FAILURE"}))
        self.assertEqual(envelope.recipients[0].original, "rfc822;a@example.org")
        self.assertIn("with UTF8SMTP", site.spool.committed[0].text.replace("\n\t", " "))

    def test_help(self) -> None:
        """HELP names the commands that this listener knows, and no others."""
        self.assertIn("EHLO HELO STARTTLS", Site().connect().say("HELP")[0])
        lmtp = Site(flavor=Flavor.LMTP).connect(greet="LHLO client.example.com").say("HELP")[0]
        self.assertIn("LHLO STARTTLS", lmtp)
        self.assertNotIn("EHLO", lmtp)

    def test_unknown(self) -> None:
        """A parameter that is not known is refused, not dropped (RFC 5321 4.1.1.11)."""
        client = Site().connect()
        self.assertEqual(codes(client.say("MAIL FROM:<x@example.com> X=1", ENVELOPE[0])), ["555", "250"])
        self.assertEqual(
            codes(client.say("RCPT TO:<alice@example.org> X=1", "RCPT TO:<bob@example.org>")), ["555", "250"]
        )


class DataTests(SynchronousTestCase):
    """A message ends where it ends, and costs what it must."""

    def message(self, octets: bytes, **settings: Any) -> tuple[Site, Client, list[str]]:
        """What comes of octets behind DATA."""
        site = Site(**settings)
        client = site.connect()
        client.say(*ENVELOPE, "DATA")
        return site, client, client.send(octets)

    def test_only_one_end(self) -> None:
        """Only CRLF.CRLF ends a message; behind anything else the rest is text, and such a message is refused."""
        for end in (
            b"\n.\n",
            b"\n.\r\n",
            b"\r\n.\n",
            b"\r.\r",
            b"\r.\r\n",
            b"\r\n.\r",
            b"\r\n.\r\r\n",
            b"\n.\r",
            b"\r\n\x00.\r\n",
            b"\r\n. \r\n",
        ):
            site, client, replies = self.message(b"Subject: x\r\n\r\ntext" + end + b"MAIL FROM:<evil@example.com>\r\n")
            self.assertEqual(replies, [], end)
            replies = client.say(".")
            self.assertEqual(len(replies), 1, end)
            if end in {b"\r\n\x00.\r\n", b"\r\n. \r\n"}:
                self.assertEqual(codes(replies), ["250"], end)
                self.assertIn(b"\nMAIL FROM:<evil@example.com>\n", site.spool.committed[0].octets)
            else:
                self.assertEqual((codes(replies), site.spool.committed), (["550"], []), end)

    def test_bare_newlines_normalized(self) -> None:
        """By setting, a lone CR or LF becomes a line end, after the end of the message has been found."""
        site, _, replies = self.message(
            b"Subject: x\n\ntext\n.\nMAIL FROM:<evil@example.com>\rend\r\n.\r\n", bare_newlines="normalize"
        )
        self.assertEqual(codes(replies), ["250"])
        expected = b"Subject: x\n\ntext\n.\nMAIL FROM:<evil@example.com>\nend\n"
        self.assertEqual(body_of(site.spool.committed[0].octets), expected)

    def test_dots(self) -> None:
        """Dots are unstuffed wherever the message is cut."""
        text = b"..\r\n...\r\n..a\r\n.b\r\nc.\r\n.\r\n"
        for cut in range(len(text)):
            site = Site()
            client = site.connect()
            client.say(*ENVELOPE, "DATA")
            client.send(b"A: b\r\n\r\n")
            self.assertEqual(client.send(text[:cut]), [])
            self.assertEqual(codes(client.send(text[cut:])), ["250"])
            self.assertEqual(body_of(site.spool.committed[0].octets), b"A: b\n\n.\n..\n.a\nb\nc.\n", cut)

    def test_cost(self) -> None:
        """The writer is called once for a piece of the message, whatever the number of lines and recipients."""
        site = Site()
        client = site.connect()
        client.say(*ENVELOPE, "RCPT TO:<bob@example.org>", "RCPT TO:<al@example.org>", "DATA", "Subject: x", "")
        writer = site.spool.writers[0]
        before = len(writer.chunks)
        client.send(b"line\r\n" * 10_000)
        self.assertLessEqual(len(writer.chunks) - before, 2)
        self.assertEqual(len(site.spool.writers), 1)

    def test_memory(self) -> None:
        """A message of 16 MB raises the memory by less than one piece of it: nothing is collected."""
        site = Site(max_size=1024**3)
        site.spool.keeps_octets = False
        client = site.connect()
        client.say(*ENVELOPE, "DATA", "Subject: x", "")
        piece = (b"x" * 62 + b"\r\n") * 1024
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(256):
                client.session.dataReceived(piece)
            after, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertLess(after - before, 128 * 1024)
        self.assertLess(peak - before, 1024**2)
        self.assertEqual(codes(client.say(".")), ["250"])
        self.assertGreater(site.spool.writers[0].size_octets, 16_000_000)


class RelayTests(SynchronousTestCase):
    """Nobody relays without leave, wherever the connection comes from."""

    def test_no_relay(self) -> None:
        """Neither this machine nor any form of address gets mail out of the house."""
        tricks = (
            "<x@example.net>",
            "<@example.org:x@example.net>",
            "<@example.org,@mx.example.org:x@example.net>",
            '<"x@example.net"@example.org>',
            "<x%example.net@example.org>",
            "<x%example.net>",
            "<example.net!x>",
            "<example.net!x@example.org>",
            '<"x%example.net">',
            "<x@example.net@example.org>",
            "<x@[192.0.2.1]>",
            "<@x@example.net@example.org>",
            '<"@example.net:x@example.com"@example.org>',
            "<x@example.net.>",
            "x@example.net",
            "<alice@example.org>,<x@example.net>",
            "<postmaster@example.net>",
        )
        for peer, trick in product(("192.0.2.7", "127.0.0.1", "::1"), tricks):
            site = Site()
            client = site.connect(peer)
            client.say(ENVELOPE[0])
            (reply,) = codes(client.say(f"RCPT TO:{trick}"))
            self.assertEqual(reply[0], "5", (peer, trick))
            self.assertEqual(codes(client.say("DATA")), ["554"], (peer, trick))
