"""
Whatever a client says, with every check on: nothing goes wrong, and nothing of it is kept.

The sessions are put together at random from what clients say, sensible or not, among it oddities that were seen on real wires.
"""

from __future__ import annotations

import os
import re
import tempfile
from base64 import b64encode
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.app.at_once import AtOnce
from hermes.app.checks import Means, checks
from hermes.app.file_checks import Edited
from hermes.config.loader import load
from hermes.core.dns_answer import Answer, Budget, MailExchanger, Status
from hermes.core.visit import Visit
from hermes.net.content import ContentReader
from hermes.policy.access import Access
from hermes.policy.authorship import Authorship
from hermes.policy.dnsbl_record import Records
from hermes.policy.greylist import Greylist
from hermes.policy.greylist_store import GreylistStore
from hermes.policy.misconduct import Misconduct
from hermes.policy.new_recipients import NewRecipients
from hermes.policy.offender_store import NoStore
from hermes.policy.offenders import Offenders
from hermes.policy.rates import RateLimits, Rates
from hermes.policy.recipient_store import RecipientStore
from hermes.protocols.smtp.events import Flavor
from tests.support.all_checks import SETTINGS, write_files
from tests.support.configuration import MINIMAL, write_config
from tests.support.smtp_site import NOON, PASSWORD, MemoryDirectory, Site, plain
from tests.support.worker import ImmediateWorker

#: As many of these as hypothesis likes, in any order: what honest clients say, so that sessions come somewhere.
HONEST = [
    b"EHLO client.example.com\r\n",
    b"MAIL FROM:<a@example.com> SIZE=100\r\n",
    b"MAIL FROM:<>\r\n",
    b"MAIL FROM:<alice@example.org>\r\n",
    b"RCPT TO:<alice@example.org>\r\n",
    b"RCPT TO:<Postmaster>\r\n",
    b"RCPT TO:<x@example.net>\r\n",
    b"DATA\r\n",
    b"From: a@example.com\r\nSubject: hello\r\nDate: Thu, 15 Jan 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\n\r\ntext\r\n.\r\n",
    b"BDAT 12 LAST\r\nSubject: x\r\n",
    b"RSET\r\n",
    b"AUTH PLAIN " + plain().encode() + b"\r\n",
    b"XCLIENT ADDR=192.0.2.77\r\n",
    b"XCLIENT ADDR=198.51.100.9 HELO=spam NAME=[UNAVAILABLE]\r\n",
]

#: What checks look for, and what they stumble over.
ODD = [
    b"EHLO [192.0.2.7]\r\n",
    b"EHLO 192.0.2.7\r\n",
    b"EHLO mail.example.org\r\n",
    b"HELO localhost\r\n",
    b"EHLO badhost.later\r\n",
    b"EHLO \xe4\xf6\xfc\r\n",
    b"EHLO [IPv6:::1]\r\n",
    b"EHLO " + b"a." * 200 + b"\r\n",
    b"HELO\r\n",
    b"LHLO client.example.com\r\n",
    b"MAIL FROM:<killed@example.net>\r\n",
    b"MAIL FROM:<x@bad.example>\r\n",
    b"MAIL FROM:<spam@example.net> SIZE=99999999999999999999\r\n",
    b'MAIL FROM:<"a b"@example.com> BODY=8BITMIME\r\n',
    b"MAIL FROM:<a@" + b"x" * 63 + b"." + b"y" * 63 + b".example>\r\n",
    b"MAIL FROM:<a@[192.0.2.1]>\r\n",
    "MAIL FROM:<jörg@bücher.example> SMTPUTF8\r\n".encode(),
    b"MAIL FROM:<friend@example.net>\r\n",
    b"RCPT TO:<joe@example.org> NOTIFY=NEVER ORCPT=rfc822;joe@example.org\r\n",
    b"RCPT TO:<gone@example.org>\r\n",
    b"RCPT TO:<nobody@example.org>\r\n",
    b"RCPT TO:<trap@example.org>\r\n",
    b"RCPT TO:<x%example.net@example.org>\r\n",
    b"RCPT TO:<@example.net:alice@example.org>\r\n",
    b"DATA\r\nFrom: a@b\r\nFrom: c@d\r\n\r\n.\r\n",
    b"DATA\r\nFrom: <killed@example.net>, =?utf-8?q?=FF?= <\r\nSubject: buy now\r\n\r\n\r\n.\r\n",
    b"DATA\r\nSubject: =?utf-8?b?YnV5IG5vdw==?=\r\n =?x?q?watch?=\r\n\tmore\r\n\r\n.\r\n",
    b"DATA\r\nContent-Type: multipart/x; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n<b>\r\n--x--\r\n.\r\n",
    b"DATA\r\nno header at all\r\n.\r\n",
    b"DATA\r\n" + b"Received: x\r\n" * 40 + b"\r\n.\r\n",
    b"DATA\r\n:\r\n \r\n\x00\r\n.\r\n",
    b"BDAT 3\r\nabc",
    b"BDAT 0 LAST\r\n",
    b"AUTH PLAIN " + b64encode(b"\0alice\0wrong") + b"\r\n",
    b"AUTH LOGIN\r\n",
    b64encode(b"alice") + b"\r\n",
    b64encode(PASSWORD.encode()) + b"\r\n",
    b"AUTH OAUTHBEARER bixhPWE=\r\n",
    b"VRFY alice\r\n",
    b"EXPN staff\r\n",
    b"XCLIENT ADDR=[TEMPUNAVAIL]\r\n",
    b"XCLIENT ADDR=IPV6:2001:db8::1 PROTO=ESMTP\r\n",
    b"XCLIENT ADDR=not.an.address\r\n",
    b"GET / HTTP/1.0\r\n",
    b"\x16\x03\x01\x02\x00\x01",
    b".\r\n",
    b"\r\n",
    b"\n",
    b"\xff\xfe\x00",
    b"x" * 5000,
    b"NOOP " + b"\t" * 100 + b"\r\n",
]

#: More header than is looked at.
LARGE = b"DATA\r\nSubject: buy\r\nX: " + b"y" * 70_000 + b"\r\n\r\n.\r\n"


#: Anything. Made of text, because hypothesis compares octets with numbers, about which Python warns.
OCTETS = st.text(st.characters(max_codepoint=255), max_size=40).map(lambda text: text.encode("latin-1"))


def only(*verbs: bytes) -> st.SearchStrategy[bytes]:
    """One of these commands."""
    return st.sampled_from([part for part in HONEST + ODD if part.startswith(verbs)])


PARTS = st.one_of(st.sampled_from(HONEST), st.sampled_from(ODD), OCTETS).map(lambda part: [part])
HELLOS, SENDERS, RECIPIENTS = only(b"EHLO", b"HELO"), only(b"MAIL"), only(b"RCPT")
#: Sessions that come further than chance would let them: the commands in their order, whatever stands in them.
MESSAGES = st.tuples(
    st.one_of(st.just(HONEST[1]), SENDERS),
    st.one_of(st.just(HONEST[4]), RECIPIENTS),
    RECIPIENTS,
    st.one_of(st.just(HONEST[7] + HONEST[8]), only(b"DATA\r\n", b"BDAT")),
).map(list)
GREETED = st.tuples(st.one_of(st.just(HONEST[0]), HELLOS)).map(list)
SESSIONS = st.tuples(GREETED, st.lists(st.one_of(MESSAGES, MESSAGES, PARTS), min_size=3, max_size=8)).map(
    lambda session: [part for parts in ([session[0]] + session[1]) for part in parts]
)
PEERS = st.sampled_from(["192.0.2.7", "198.51.100.9", "127.0.0.1", "2001:db8::7", "192.0.2.200"])

_REPLY = re.compile(r"[2-5][0-5][0-9][ -][\x20-\x7e\t]{0,506}\Z")

#: Memories of one session that checks may have; each is by a name of theirs.
MAX_MEMORIES = 10


class AnyDNS:
    """Every name has answers that follow from its letters: some are there, some are not, and some cannot be had."""

    async def _answer(self, name: str, *values: Any) -> Answer[Any]:
        honest = name in ("example.com", "client.example.com", "192.0.2.7", "a.example")
        status = Status.FOUND if honest else list(Status)[sum(name.encode()) % 4]
        return Answer(status, values if status is Status.FOUND else (), "so it is")

    async def ipv4_addresses(self, host: str, budget: Budget | None = None) -> Answer[str]:
        """A."""
        return await self._answer(host, "127.0.0.2", "192.0.2.7")

    async def ipv6_addresses(self, host: str, budget: Budget | None = None) -> Answer[str]:
        """AAAA."""
        return await self._answer(host, "2001:db8::7")

    async def addresses(self, host: str, budget: Budget | None = None) -> Answer[str]:
        """Both."""
        return await self._answer(host, "192.0.2.1")

    async def names(self, address: str, budget: Budget | None = None) -> Answer[str]:
        """PTR."""
        return await self._answer(address, "a.example", "b.example")

    async def mail_exchangers(self, domain: str, budget: Budget | None = None) -> Answer[MailExchanger]:
        """MX; every other one is null."""
        return await self._answer(domain, MailExchanger(10, "" if len(domain) % 3 == 1 else "mx.example"))

    async def texts(self, name: str, budget: Budget | None = None) -> Answer[bytes]:
        """TXT, with what has no place in a reply."""
        return await self._answer(name, b"listed, \xff\r\n see elsewhere")


class AnySessionTests(SynchronousTestCase):
    """Sessions at a site with all checks; hypothesis makes them."""

    def setUp(self) -> None:
        """Read the settings; what checks keep is anew for each session."""
        path = write_config(self, f"{MINIMAL}{SETTINGS}[smtp]\nerror_delay = 1s\nmax_unknown_recipients = 3\n")
        write_files(Path(path).parent / "data")
        self.settings = load(path)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.made = 0

    def site(self, flavor: Flavor) -> Site:
        """A site with everything on."""
        self.made += 1

        def path(name: str) -> str:
            return os.path.join(self.directory, f"{name}{self.made}.sqlite")

        def now() -> float:
            return site.clock.seconds() if self.ready else NOON

        self.ready = False
        dns: Any = AnyDNS()
        offenders = Offenders(NoStore(), now)
        access = Access(self.settings.access)
        offenders.reconfigure(self.settings, access)
        greylist = Greylist(GreylistStore(path("greylist"), AtOnce(), ImmediateWorker()), now)
        self.successResultOf(Deferred.fromCoroutine(greylist.open()))
        greylist._known["192.0.2.0/24"] = NOON
        self.recipients = RecipientStore(path("recipients"), ImmediateWorker())
        means = Means(dns, Records(now), ContentReader(AtOnce()), offenders.report, greylist)
        memory = MemoryDirectory()
        every = [
            Misconduct(self.settings.smtp, offenders),
            RateLimits(self.settings.rates, Rates(now)),
            Authorship(memory, own_only=True),
            *checks(self.settings, Edited(AtOnce(), now), means),
            NewRecipients(1, self.recipients, memory, lambda: site.journal, lambda: b"secret", now),
        ]
        self.visits: list[Visit] = []

        def visit_of(peer: str) -> Visit:
            self.visits.append(Visit(peer))
            return self.visits[-1]

        site = Site(
            flavor=flavor,
            tls=False,
            checks=every,
            visit_of=visit_of,
            auth_without_tls="loopback",
            front_ends=(ip_network("192.0.2.200/32"), ip_network("127.0.0.1/32")),
            max_errors=8,
        )
        self.ready = True
        return site

    @settings(max_examples=200, deadline=None)
    @given(SESSIONS, PEERS, st.sampled_from([Flavor.SMTP, Flavor.SUBMISSION]))
    @example(HONEST, "192.0.2.200", Flavor.SMTP)
    @example(HONEST, "127.0.0.1", Flavor.SUBMISSION)
    @example(ODD, "198.51.100.9", Flavor.SMTP)
    @example([HONEST[0], HONEST[1], HONEST[4], LARGE], "192.0.2.7", Flavor.SMTP)
    def test_any(self, parts: list[bytes], peer: str, flavor: Flavor) -> None:
        """Every answer is a reply, no fault is among them, and when the client has gone nothing is left of the session."""
        self.go_through(parts, peer, flavor)

    def go_through(self, parts: list[bytes], peer: str, flavor: Flavor) -> None:
        """One session from its beginning to its end."""
        site = self.site(flavor)
        client = site.connect(peer, greet=None)
        heard = client.heard()
        for part in parts:
            heard += client.send(part)
            for _ in range(3):
                # Refusals wait the longer, the more there have been.
                site.clock.advance(1)
            heard += client.heard()
        for line in heard:
            self.assertRegex(line, _REPLY)
            self.assertNotIn("Something went wrong", line)
            self.assertNotIn("was lost", line)
        for visit in self.visits:
            self.assertLess(len(visit.memory), MAX_MEMORIES)
            self.assertLess(len(visit.counts), MAX_MEMORIES)
        client.leave()
        site.clock.advance(1)
        self.assertEqual((site.gate.present, site.realm.present, site.factory.sessions), ([], 0, set()))
        self.assertEqual(self.flushLoggedErrors(), [])
        self.successResultOf(Deferred.fromCoroutine(self.recipients.close()))

    @settings(max_examples=100, deadline=None)
    @given(st.lists(PARTS, max_size=12), st.sampled_from(ODD + HONEST))
    def test_message(self, header: list[list[bytes]], end: bytes) -> None:
        """The same with a transaction open and a header that is made of anything."""
        lines = b"".join(line for lines in header for line in lines).replace(b"\r\n.\r\n", b"\r\n..\r\n")
        begin = [
            b"EHLO client.example.com\r\n",
            b"MAIL FROM:<a@example.com> SIZE=10\r\n",
            b"RCPT TO:<alice@example.org>\r\n",
        ]
        self.go_through([*begin, b"DATA\r\n", lines, b"\r\n.\r\n", end], "192.0.2.7", Flavor.SMTP)
