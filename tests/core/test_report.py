"""Reports to senders, read back with the standard library's own parser (RFC 3461, 3464, 6522, 6533, 3834)."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage, Message

import attrs
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.envelope import BodyType, Envelope, Origin, Recipient
from hermes.core.outcome import Outcome, Result
from hermes.core.reply import Reply
from hermes.core.report import Action, Fate, Letter, Report, Whole
from hermes.core.report_message import compose
from hermes.core.report_text import header_of

ORIGINAL = b"From: a@example.org\nTo: b@example.net\nSubject: An invoice\n\nThe body.\n"

REFUSED = Outcome(
    Result.FAILED,
    "refused by mx.example.net",
    "5.1.1",
    Reply.parsed(550, ("5.1.1 No such user here", "5.1.1 Ask the operator")),
    "mx.example.net",
    "192.0.2.1:25",
)

UNREACHABLE = Outcome.deferred("connection refused by 192.0.2.1", "4.4.1", host="mx.example.net")


def report(**changes: object) -> Report:
    """A report of one failure, with some things changed."""
    plain = Report(
        hostname="mail.example.org",
        postmaster="postmaster@example.org",
        to="a@example.org",
        for_postmaster=False,
        report_id="<1.report@mail.example.org>",
        written_at=1_700_000_100.0,
        queue_id="0123456789AB",
        accepted_at=1_700_000_000.0,
        attempted_at=1_700_000_050.0,
        envelope=Envelope("a@example.org", (Recipient("b@example.net"),)),
        message_id="<original@example.org>",
        fates=(Fate("b@example.net", None, Action.FAILED, REFUSED),),
        returned=ORIGINAL,
        complete=True,
    )
    return attrs.evolve(plain, **changes)  # type: ignore[arg-type]


def parsed(letter: Letter) -> EmailMessage:
    """The letter as the standard library reads it from the wire."""
    message = email.message_from_bytes(letter.octets.replace(b"\n", b"\r\n"), policy=email.policy.SMTP)
    assert isinstance(message, EmailMessage)
    return message


def parts(letter: Letter) -> list[Message]:
    """The parts of the report."""
    payload = parsed(letter).get_payload()
    assert isinstance(payload, list)
    return payload


def groups(letter: Letter) -> list[Message]:
    """The groups of fields: of the message, then of each recipient."""
    payload = parts(letter)[1].get_payload()
    assert isinstance(payload, list)
    return payload


def text_of(letter: Letter) -> str:
    """The words for people."""
    payload = parts(letter)[0].get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode("utf-8").replace("\r\n", "\n")


class HeaderTests(SynchronousTestCase):
    """The report's own header."""

    def test_addressed_to_the_sender(self) -> None:
        """From the person in charge, to the reverse-path, and marked as written by a program (RFC 3464 2, RFC 3834)."""
        message = parsed(compose(report()))
        self.assertEqual(message["To"].addresses[0].addr_spec, "a@example.org")
        self.assertEqual(message["From"].addresses[0].addr_spec, "postmaster@example.org")
        self.assertEqual(message["From"].addresses[0].display_name, "Mail Delivery System")
        self.assertEqual(message["Auto-Submitted"], "auto-replied")
        self.assertEqual(message["Message-ID"], "<1.report@mail.example.org>")
        self.assertEqual(message["Date"].datetime.timestamp(), 1_700_000_100)
        self.assertEqual(message.defects, [])

    def test_is_a_multipart_report(self) -> None:
        """It is multipart/report of the type delivery-status with three parts (RFC 6522 3)."""
        letter = compose(report())
        message = parsed(letter)
        self.assertEqual(message.get_content_type(), "multipart/report")
        self.assertEqual(message["Content-Type"].params["report-type"], "delivery-status")
        self.assertEqual(
            [part.get_content_type() for part in parts(letter)],
            ["text/plain", "message/delivery-status", "message/rfc822"],
        )

    def test_refers_to_the_original(self) -> None:
        """The original's Message-ID is named, so that mail programs put the two together (RFC 3834 3.1.5)."""
        message = parsed(compose(report()))
        self.assertEqual(message["In-Reply-To"], "<original@example.org>")
        self.assertEqual(message["References"], "<original@example.org>")

    def test_broken_message_id_is_not_copied(self) -> None:
        """A Message-ID that could end the header field is left out."""
        for broken in ("", "<no-at-sign>", "<a@b>\nBcc: c@example.net", "<a b@example.org>", "<a@b><c@d>"):
            self.assertIsNone(parsed(compose(report(message_id=broken)))["In-Reply-To"])

    def test_subjects(self) -> None:
        """The subject tells failure, delay and success apart."""
        outcomes = {
            Action.FAILED: "Your message could not be delivered",
            Action.DELAYED: "Your message has not been delivered yet",
            Action.RELAYED: "Your message has been passed on",
            Action.EXPANDED: "Your message has been passed on",
            Action.DELIVERED: "Your message has been delivered",
        }
        for action, subject in outcomes.items():
            fates = (Fate("b@example.net", None, action, REFUSED),)
            self.assertEqual(parsed(compose(report(fates=fates)))["Subject"], subject)


class FieldsTests(SynchronousTestCase):
    """The part for programs (RFC 3464 2.2, 2.3)."""

    def test_message_fields(self) -> None:
        """Who reports, when the message came, and the envelope id as it was given (RFC 3461 6.3)."""
        envelope = Envelope("a@example.org", (Recipient("b@example.net"),), envid="QQ+314 15")
        fields = groups(compose(report(envelope=envelope)))[0]
        self.assertEqual(fields["Reporting-MTA"], "dns; mail.example.org")
        self.assertEqual(fields["Original-Envelope-Id"], "QQ+314 15")
        self.assertEqual(fields["Arrival-Date"], "Tue, 14 Nov 2023 22:13:20 +0000")
        self.assertEqual(fields["X-Hermes-Queue-Id"], "0123456789AB")

    def test_where_it_came_from(self) -> None:
        """What the client said of itself, with its address as a comment, whatever it said (RFC 3464 2.2.4)."""
        for hello, name in (("client.example.net", "client.example.net"), ("a (b) c\\", "a__b__c_")):
            fields = groups(compose(report(origin=Origin("ESMTP", "192.0.2.9", hello))))[0]
            self.assertEqual(fields["Received-From-MTA"], f"dns; {name} (192.0.2.9)")
        for origin in (None, Origin("local"), Origin("ESMTP", "192.0.2.9")):
            self.assertIsNone(groups(compose(report(origin=origin)))[0]["Received-From-MTA"])

    def test_no_envelope_id(self) -> None:
        """Without ENVID there is no Original-Envelope-Id (RFC 3461 6.3 a)."""
        self.assertIsNone(groups(compose(report()))[0]["Original-Envelope-Id"])

    def test_host_without_domain(self) -> None:
        """A name that the DNS cannot know is not called a dns name (RFC 3461 6.3 b)."""
        self.assertEqual(groups(compose(report(hostname="mailbox")))[0]["Reporting-MTA"], "x-local-hostname; mailbox")

    def test_recipient_fields(self) -> None:
        """Each recipient has the address, what was done, the status, and the remote server's words (RFC 3461 6.3)."""
        fates = (Fate("b@example.net", "rfc822;B+x@example.net", Action.FAILED, REFUSED),)
        fields = groups(compose(report(fates=fates)))[1]
        self.assertEqual(fields["Original-Recipient"], "rfc822; B+x@example.net")
        self.assertEqual(fields["Final-Recipient"], "rfc822; b@example.net")
        self.assertEqual(fields["Action"], "failed")
        self.assertEqual(fields["Status"], "5.1.1")
        self.assertEqual(fields["Remote-MTA"], "dns; mx.example.net")
        self.assertEqual(fields["Last-Attempt-Date"], "Tue, 14 Nov 2023 22:14:10 +0000")
        self.assertIsNone(fields["Will-Retry-Until"])

    def test_reply_of_several_lines(self) -> None:
        """Every line of the reply stands on a line of its own, with its code (RFC 3461 9.2)."""
        octets = compose(report()).octets
        wanted = b"Diagnostic-Code: smtp; 550-5.1.1 No such user here\n 550 5.1.1 Ask the operator\n"
        self.assertIn(wanted, octets)

    def test_no_server_spoke(self) -> None:
        """Without a reply there is no Remote-MTA: the diagnosis is ours (RFC 3464 2.3.6)."""
        fates = (Fate("b@example.net", None, Action.FAILED, UNREACHABLE, expired=True),)
        fields = groups(compose(report(fates=fates)))[1]
        self.assertIsNone(fields["Remote-MTA"])
        self.assertEqual(fields["Diagnostic-Code"], "x-hermes; connection refused by 192.0.2.1")
        self.assertEqual(fields["Status"], "4.4.1")
        self.assertEqual(fields["Action"], "failed")

    def test_delay_says_until_when(self) -> None:
        """Only a delay says how long delivery will be tried (RFC 3464 2.3.9)."""
        fates = (Fate("b@example.net", None, Action.DELAYED, UNREACHABLE),)
        fields = groups(compose(report(fates=fates, retry_until=1_700_432_000.0)))[1]
        self.assertEqual(fields["Action"], "delayed")
        self.assertEqual(fields["Will-Retry-Until"], "Sun, 19 Nov 2023 22:13:20 +0000")

    def test_malformed_status_is_replaced(self) -> None:
        """What is no status code is replaced by the general one (RFC 3461 6.3 g)."""
        for broken in ("", "5.1", "5.01.1", "9.1.1", "5.1.1\nX: y", "5.1.1000"):
            fates = (Fate("b@example.net", None, Action.FAILED, Outcome.failed("no", broken)),)
            self.assertEqual(groups(compose(report(fates=fates)))[1]["Status"], "5.0.0")

    def test_thousand_recipients(self) -> None:
        """A thousand recipients have a group each, and long refusals do not make the report huge."""
        reply = Reply(550, None, tuple("x" * 500 for _ in range(20)))
        fates = tuple(
            Fate(f"u{number}@example.net", None, Action.FAILED, attrs.evolve(REFUSED, reason=str(number), reply=reply))
            for number in range(1000)
        )
        letter = compose(report(fates=fates))
        self.assertEqual(len(groups(letter)), 1001)
        self.assertLess(len(letter.octets), 1_000_000)
        self.assertIn("    u999@example.net\n", text_of(letter))


class TextTests(SynchronousTestCase):
    """The part for people (RFC 6522 3)."""

    def test_tells_the_whole_story(self) -> None:
        """Who could not be reached, when it was, what the server said, what to do, and where to ask."""
        text = text_of(compose(report()))
        for words in (
            "Tue, 14 Nov 2023 22:13:20 +0000",
            "    b@example.net\n",
            "The server mx.example.net (192.0.2.1:25) answered:",
            "    550-5.1.1 No such user here\n    550 5.1.1 Ask the operator\n",
            "There is no such mailbox.",
            "postmaster@example.org",
            "0123456789AB",
        ):
            self.assertIn(words, text)

    def test_same_fate_is_told_once(self) -> None:
        """Recipients who were refused in the same words share one explanation."""
        fates = tuple(Fate(f"u{number}@example.net", None, Action.FAILED, REFUSED) for number in range(3))
        text = text_of(compose(report(fates=fates)))
        self.assertEqual(text.count("550-5.1.1"), 1)

    def test_expired(self) -> None:
        """A message that was tried to the end says so."""
        fates = (Fate("b@example.net", None, Action.FAILED, UNREACHABLE, expired=True),)
        self.assertIn("It was tried again and again", text_of(compose(report(fates=fates))))

    def test_success(self) -> None:
        """Delivered and passed on are different things (RFC 3464 2.3.3)."""
        taken = attrs.evolve(REFUSED, result=Result.RELAYED, reply=Reply.of(250, "2.0.0", "ok"), status="2.0.0")
        relayed = compose(report(fates=(Fate("b@example.net", None, Action.RELAYED, taken),)))
        self.assertIn("That server sends no confirmations", " ".join(text_of(relayed).split()))
        self.assertEqual(groups(relayed)[1]["Diagnostic-Code"], "smtp; 250 2.0.0 ok")
        stored = Outcome(Result.DELIVERED, "stored", "2.0.0")
        delivered = compose(report(fates=(Fate("b@example.org", None, Action.DELIVERED, stored),)))
        self.assertIn("The message has been delivered", text_of(delivered))
        self.assertIsNone(groups(delivered)[1]["Diagnostic-Code"])

    def test_delay(self) -> None:
        """A delay says that nothing has to be done."""
        fates = (Fate("b@example.net", None, Action.DELAYED, UNREACHABLE),)
        text = " ".join(text_of(compose(report(fates=fates, retry_until=1_700_432_000.0))).split())
        self.assertIn("You need not send it again", text)
        self.assertIn("until Sun, 19 Nov 2023", text)

    def test_copy_for_the_postmaster(self) -> None:
        """The postmaster's copy names the sender, or says that there was none."""
        letter = compose(report(to="postmaster@example.org", for_postmaster=True))
        self.assertIn("A message from a@example.org,", text_of(letter))
        orphan = Envelope("", (Recipient("b@example.net"),))
        letter = compose(report(to="postmaster@example.org", for_postmaster=True, envelope=orphan))
        self.assertIn("A message from <>", text_of(letter))
        self.assertIsNone(parsed(letter)["In-Reply-To"])


class OriginalTests(SynchronousTestCase):
    """The third part: the original, or its header."""

    def test_whole_message(self) -> None:
        """A failure returns the message as it was (RFC 3461 6.2)."""
        original = parts(compose(report()))[2].get_payload()
        assert isinstance(original, list)
        self.assertEqual(original[0]["Subject"], "An invoice")
        self.assertEqual(original[0].get_payload(), "The body.\r\n")

    def test_incomplete_message_gives_the_header(self) -> None:
        """When there is more than was read, only the header is returned, as such (RFC 6522 4)."""
        part = parts(compose(report(complete=False)))[2]
        self.assertEqual(part.get_content_type(), "text/rfc822-headers")
        self.assertEqual(part.get_payload(), ORIGINAL.partition(b"\n\n")[0].decode().replace("\n", "\r\n") + "\r\n")

    def test_success_and_delay_give_the_header(self) -> None:
        """Without a failure only the header is returned (RFC 3461 6.2)."""
        for action in (Action.DELAYED, Action.DELIVERED, Action.RELAYED):
            part = parts(compose(report(fates=(Fate("b@example.net", None, action, UNREACHABLE),))))[2]
            self.assertEqual(part.get_content_type(), "text/rfc822-headers")

    def test_larger_than_memory(self) -> None:
        """The octets of a large original come between two pieces, which make one report with them (RFC 6522)."""
        for octets, body in ((ORIGINAL, BodyType.SEVEN_BIT), (ORIGINAL + b"\xfc\n", BodyType.EIGHT_BIT)):
            whole = Whole(b"digest", octets.isascii())
            letter = compose(report(returned=octets[:60], complete=False, whole=whole))
            self.assertIs(letter.body, body)
            made = Letter(letter.octets + octets + letter.tail, letter.body, letter.smtputf8)
            self.assertEqual([part.get_content_type() for part in parts(made)][2], "message/rfc822")
            self.assertIn("Your message is attached", text_of(made))
            original = parts(made)[2].get_payload()
            assert isinstance(original, list)
            self.assertEqual(original[0]["Subject"], "An invoice")

    def test_larger_than_memory_and_international(self) -> None:
        """One with a UTF-8 header is not encoded while it is copied: where it had to be, only its header goes back."""
        envelope = Envelope("a@example.org", (Recipient("b@example.net"),), smtputf8=True)
        large = report(
            envelope=envelope, returned="Subject: ü\n\nx\n".encode(), complete=False, whole=Whole(b"digest", False)
        )
        letter = compose(large)
        self.assertEqual((parts(letter)[2].get_content_type(), letter.tail), ("message/global-headers", b""))
        letter = compose(attrs.evolve(large, to="jürgen@example.org"))
        self.assertIn(b"message/global\n", letter.octets)
        self.assertTrue(letter.tail)

    def test_eight_bit_original(self) -> None:
        """An 8-bit original cannot be encoded inside message/rfc822, so the report needs 8BITMIME (RFC 2046 5.2.1)."""
        letter = compose(report(returned="Subject: x\n\nGrüße\n".encode()))
        self.assertIs(letter.body, BodyType.EIGHT_BIT)
        self.assertFalse(letter.smtputf8)
        self.assertEqual(parts(letter)[2]["Content-Transfer-Encoding"], "8bit")
        self.assertIs(compose(report()).body, BodyType.SEVEN_BIT)

    def test_eight_bit_header_alone_is_encoded(self) -> None:
        """A header outside ASCII goes back in 7-bit form (RFC 6522 4)."""
        letter = compose(report(returned="Subject: Grüße\n\nx\n".encode(), complete=False))
        self.assertIs(letter.body, BodyType.SEVEN_BIT)
        self.assertEqual(parts(letter)[2].get_payload(decode=True), "Subject: Grüße\r\n".encode())

    def test_what_is_not_lines_of_mail(self) -> None:
        """Overlong lines, NUL, bare CR and BINARYMIME content are not returned whole (RFC 2045 2.7, RFC 3030)."""
        head = b"Subject: x\n\n"
        for body in (b"x" * 999 + b"\n", b"a\0b\n", b"a\rb\n"):
            part = parts(compose(report(returned=head + body)))[2]
            self.assertEqual((part.get_content_type(), part.get_payload()), ("text/rfc822-headers", "Subject: x\r\n"))
        self.assertEqual(parts(compose(report(binary=True)))[2].get_content_type(), "text/rfc822-headers")
        longest = compose(report(returned=head + b"x" * 998 + b"\n"))
        self.assertEqual(parts(longest)[2].get_content_type(), "message/rfc822")

    def test_header_that_is_not_lines_of_mail(self) -> None:
        """A header with an overlong line or NUL is returned all the same, encoded (RFC 6522 4)."""
        for value in ("y" * 1200, "a\0b"):
            letter = compose(report(returned=f"Subject: {value}\n\nx\n".encode()))
            self.assertEqual(parts(letter)[2]["Content-Transfer-Encoding"], "quoted-printable")
            self.assertEqual(parts(letter)[2].get_payload(decode=True), f"Subject: {value}\r\n".encode())

    def test_header_of(self) -> None:
        """The header ends at the empty line, whatever the line ends are, or with the last whole line."""
        self.assertEqual(header_of(b"A: b\r\nC: d\r\n\r\nbody\r\n"), b"A: b\nC: d\n")
        self.assertEqual(header_of(b"A: b\nC: d\n\nbody\n"), b"A: b\nC: d\n")
        self.assertEqual(header_of(b"\nbody\n"), b"")
        self.assertEqual(header_of(b"A: b\nC: unfin"), b"A: b\n")
        self.assertEqual(header_of(b""), b"")


class InternationalTests(SynchronousTestCase):
    """Addresses and headers outside ASCII (RFC 6533)."""

    def test_recipient_outside_ascii(self) -> None:
        """The UTF-8 type is used, encoded for 7-bit transport as the return path's servers are not known (RFC 6533 4.5)."""
        envelope = Envelope("a@example.org", (Recipient("jürgen@example.net"),), smtputf8=True)
        fates = (Fate("jürgen@example.net", r"utf-8;j\x{FC}rgen@example.net", Action.FAILED, REFUSED),)
        letter = compose(report(envelope=envelope, fates=fates))
        self.assertFalse(letter.smtputf8)
        self.assertTrue(letter.octets.isascii())
        part = parts(letter)[1]
        self.assertEqual(part.get_content_type(), "message/global-delivery-status")
        self.assertEqual(part["Content-Transfer-Encoding"], "quoted-printable")
        self.assertIn(b"Final-Recipient: utf-8; j=C3=BCrgen@example.net\n", letter.octets)
        self.assertIn(b"Original-Recipient: utf-8; j=C3=BCrgen@example.net\n", letter.octets)

    def test_sender_outside_ascii(self) -> None:
        """A sender outside ASCII must be reached with SMTPUTF8, and then nothing has to be encoded."""
        envelope = Envelope("jürgen@example.org", (Recipient("b@example.net"),), smtputf8=True)
        letter = compose(report(to="jürgen@example.org", envelope=envelope, returned="Subject: Grüße\n\nx\n".encode()))
        self.assertTrue(letter.smtputf8)
        self.assertIs(letter.body, BodyType.EIGHT_BIT)
        self.assertIn("To: <jürgen@example.org>\n".encode(), letter.octets)
        self.assertEqual(parts(letter)[2].get_content_type(), "message/global")
        self.assertEqual(parts(letter)[2]["Content-Transfer-Encoding"], "8bit")

    def test_header_outside_ascii(self) -> None:
        """The header of an SMTPUTF8 message goes back as message/global-headers (RFC 6533 4.3)."""
        envelope = Envelope("a@example.org", (Recipient("b@example.net"),), smtputf8=True)
        letter = compose(report(envelope=envelope, returned="Subject: Grüße\n\nx\n".encode(), complete=False))
        self.assertEqual(parts(letter)[2].get_content_type(), "message/global-headers")
        self.assertTrue(letter.octets.isascii())

    def test_embedded_characters_that_make_no_address(self) -> None:
        """What does not decode to an address is copied as it is (RFC 6533 3)."""
        for original in (
            r"utf-8;a\x{0A}b@example.net",
            r"utf-8;a\x{D800}b@example.net",
            r"utf-8;a\x{FFFFFF}@example.net",
        ):
            fates = (Fate("b@example.net", original, Action.FAILED, REFUSED),)
            self.assertEqual(groups(compose(report(fates=fates)))[1]["Original-Recipient"], original.replace(";", "; "))

    def test_words_outside_ascii(self) -> None:
        """A server's words outside ASCII are shown to people, and escaped in the 7-bit fields."""
        reply = Reply(550, None, ("Unbekannter Empfänger",))
        fates = (Fate("b@example.net", None, Action.FAILED, attrs.evolve(REFUSED, reply=reply)),)
        letter = compose(report(fates=fates))
        self.assertIn("Unbekannter Empfänger", text_of(letter))
        self.assertEqual(groups(letter)[1]["Diagnostic-Code"], r"smtp; 550 Unbekannter Empf\xe4nger")


#: What a hostile server may say: anything, and what looks like the report's own structure.
HOSTILE = st.one_of(
    st.text(max_size=200),
    st.text(alphabet="\r\n\t -=_:;.\0\x85\u2028", max_size=60),
    st.sampled_from(
        ["\r\n--=_", "\n\n--=_0\n", "x\r\nContent-Type: text/html\r\n\r\n", "a " * 3000, "y" * 5000, "\ud800", "=" * 80]
    ),
)


class HostileWordsTests(SynchronousTestCase):
    """Whatever another server said, the report keeps its form."""

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @example(lines=[""], reason="", host="", address="", original=None, replied=False, returned=b"\r\0\n")
    @given(
        lines=st.lists(HOSTILE, min_size=1, max_size=5),
        reason=HOSTILE,
        host=HOSTILE,
        address=HOSTILE,
        original=st.none() | HOSTILE,
        replied=st.booleans(),
        returned=st.binary(max_size=300),
    )
    def test_structure_holds(
        self,
        lines: list[str],
        reason: str,
        host: str,
        address: str,
        original: str | None,
        replied: bool,
        returned: bytes,
    ) -> None:
        """There are always three parts, two groups of known fields, and lines that SMTP can carry."""
        reply = Reply(550, "5.7.1", tuple(lines)) if replied else None
        outcome = Outcome(Result.FAILED, reason, "5.7.1", reply, host, host)
        fates = (Fate(address, original, Action.FAILED, outcome),)
        letter = compose(report(fates=fates, returned=returned, message_id=reason))
        self.assertNotIn(b"\r", letter.octets)
        self.assertNotIn(b"\0", letter.octets)
        self.assertLessEqual(max(map(len, letter.octets.split(b"\n"))), 998)
        if letter.body is BodyType.SEVEN_BIT:
            self.assertTrue(letter.octets.isascii())
        message = parsed(letter)
        boundary = message.get_boundary()
        assert boundary is not None
        self.assertEqual(letter.octets.count(b"\n--" + boundary.encode()), 4)
        found = parts(letter)
        self.assertEqual(len(found), 3)
        if found[1].get_content_type() == "message/delivery-status":
            fields = groups(letter)
            self.assertEqual(len(fields), 2)
            allowed = {
                "Original-Recipient",
                "Final-Recipient",
                "Action",
                "Status",
                "Remote-MTA",
                "Diagnostic-Code",
                "Last-Attempt-Date",
            }
            self.assertLessEqual(set(fields[1].keys()), allowed)
            self.assertEqual(fields[1]["Status"], "5.7.1")
