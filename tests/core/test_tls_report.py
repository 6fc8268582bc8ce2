"""Reports about TLS (RFC 8460): who wants them, what is in them."""

from __future__ import annotations

import gzip
import json
from email import message_from_bytes, policy

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.tls_report import (
    MAX_PLACES,
    Count,
    Result,
    Sender,
    address_of,
    day_of,
    file_name,
    letter,
    packed,
    places,
    report,
)

SENDER = Sender("Example, Inc.", "tls@example.org", "mail.example.org", "tls@example.org")
LINES = ("version: STSv1", "mode: enforce", "mx: *.mail.example.com", "max_age: 1")


class PlacesTests(SynchronousTestCase):
    """The record at ``_smtp._tls`` (RFC 8460 3)."""

    def test_places(self) -> None:
        """Addresses and web places, several of them; what is neither is left out."""
        self.assertEqual(places([b"v=TLSRPTv1;rua=mailto:reports@example.com"]), ["mailto:reports@example.com"])
        text = b"v=TLSRPTv1; rua=mailto:a@example.com , https://reporting.example.com/v1/tlsrpt,ftp://x,mailto:a@example.com;"
        self.assertEqual(places([b"v=spf1", text]), ["mailto:a@example.com", "https://reporting.example.com/v1/tlsrpt"])
        self.assertEqual(address_of("mailto:a@example.com"), "a@example.com")
        self.assertIsNone(address_of("https://example.com/"))

    def test_none(self) -> None:
        """No record, two, another version, no place, or something that must not get into a command."""
        one = b"v=TLSRPTv1;rua=mailto:a@example.com"
        for texts in (
            [],
            [one, one],
            [b"v=TLSRPTv2;rua=mailto:a@example.com"],
            [b"v=TLSRPTv1"],
            [b"v=TLSRPTv1; x=y"],
            [b"v=TLSRPTv1;rua="],
            [b"v=TLSRPTv1;rua=mailto:a b@example.com"],
            [b"v=TLSRPTv1;rua=mailto:a@b\r\nRCPT TO:<x@y>"],
            [b"v=TLSRPTv1;rua=http://example.com/"],
            [b"v=TLSRPTv1;rua=https://user@example.com/"],
            [b"v=TLSRPTv1;rua=https://x/" + b"y" * 500],
        ):
            self.assertEqual(places(texts), [], repr(texts))
        many = b",".join(b"mailto:a%d@example.com" % number for number in range(MAX_PLACES + 1))
        self.assertEqual(len(places([b"v=TLSRPTv1;rua=" + many])), MAX_PLACES)

    @given(st.lists(st.binary(max_size=80), max_size=3))
    def test_anything(self, texts: list[bytes]) -> None:
        """Whatever stands there, a place has no white space and no line end."""
        for place in places([b"v=TLSRPTv1;rua=mailto:" + text for text in texts]):
            self.assertFalse(set(place) & set(" \r\n\t<>"))


class ReportTests(SynchronousTestCase):
    """The document and its letter."""

    def counts(self) -> list[Count]:
        """Some results."""
        return [
            Count(Result("example.com", "sts", "mx1.mail.example.com", lines=LINES), 5326),
            Count(Result("example.com", "sts", "mx2.mail.example.com", "certificate-expired", "192.0.2.7", LINES), 100),
            Count(Result("example.com", "sts", "mx1.mail.example.com", lines=LINES), 0),
            Count(Result("example.com", "no-policy-found", "mx1.mail.example.com"), 2),
            Count(Result("example.com", "sts", "", "sts-policy-fetch-error"), 1),
        ]

    def test_document(self) -> None:
        """Sessions by policy, failures with their hosts (RFC 8460 4.4)."""
        document = json.loads(report("example.com", "2026-01-31", self.counts(), SENDER))
        self.assertEqual(document["organization-name"], "Example, Inc.")
        self.assertEqual(
            document["date-range"],
            {"start-datetime": "2026-01-31T00:00:00Z", "end-datetime": "2026-01-31T23:59:59Z"},
        )
        sts, plain, unknown = document["policies"]
        details = unknown["failure-details"]
        self.assertEqual(details, [{"result-type": "sts-policy-fetch-error", "failed-session-count": 1}])
        self.assertEqual(sts["policy"]["policy-type"], "sts")
        self.assertEqual(sts["policy"]["policy-string"], list(LINES))
        self.assertIn("*.mail.example.com", sts["policy"]["mx-host"])
        self.assertEqual(sts["summary"], {"total-successful-session-count": 5326, "total-failure-session-count": 100})
        (details,) = sts["failure-details"]
        self.assertEqual(
            details,
            {
                "result-type": "certificate-expired",
                "failed-session-count": 100,
                "receiving-mx-hostname": "mx2.mail.example.com",
                "receiving-ip": "192.0.2.7",
            },
        )
        self.assertNotIn("failure-details", plain)
        self.assertEqual(plain["policy"], {"policy-type": "no-policy-found", "policy-domain": "example.com"})

    def test_letter(self) -> None:
        """A message that programs can read, with what RFC 8460 5.3 asks for."""
        octets = packed(report("example.com", "2026-01-31", self.counts(), SENDER))
        message = message_from_bytes(
            letter("example.com", "2026-01-31", octets, "r@example.com", SENDER, 1_769_990_000.0)
        )
        self.assertEqual(message["TLS-Report-Domain"], "example.com")
        self.assertEqual(message["TLS-Report-Submitter"], "mail.example.org")
        self.assertEqual(message["TLS-Required"], "No")
        self.assertEqual(message["From"], '"Example, Inc." <tls@example.org>')
        self.assertTrue(message["Subject"].startswith("Report Domain: example.com Submitter: mail.example.org"))
        self.assertEqual(message.get_content_type(), "multipart/report")
        self.assertEqual(message.get_param("report-type"), "tlsrpt")
        text, attached = message.get_payload()  # type: ignore[misc]
        self.assertIn("report about TLS", text.get_payload())
        self.assertEqual(attached.get_content_type(), "application/tlsrpt+gzip")
        name = "mail.example.org!example.com!1769817600!1769903999.json.gz"
        self.assertEqual((attached.get_filename(), file_name("example.com", "2026-01-31", SENDER)), (name, name))
        document = json.loads(gzip.decompress(attached.get_payload(decode=True)))
        self.assertIn(document["report-id"], message["Message-ID"])
        self.assertLess(max(map(len, octets.splitlines() and message.as_bytes().splitlines())), 998)

    def test_name(self) -> None:
        """The name of an organisation may be in any script, and hold what a display name cannot."""
        for name, expected in (
            ("Bäckerei Süd", "Bäckerei Süd"),
            ('A "B" \\ C', "A B C"),
            ("\u0391" * 500, "\u0391" * 20),
        ):
            with self.subTest(name=name[:20]):
                sender = attrs.evolve(SENDER, organization=name)
                octets = letter("example.com", "2026-01-31", b"packed", "r@example.com", sender, 0.0)
                self.assertTrue(octets.isascii())
                self.assertLess(max(map(len, octets.split(b"\n"))), 998)
                shown = message_from_bytes(octets, policy=policy.default)["From"].addresses[0]
                self.assertEqual(shown.addr_spec, "tls@example.org")
                self.assertIn(expected, " ".join(shown.display_name.split()))

    def test_day(self) -> None:
        """Days are those of UTC."""
        self.assertEqual((day_of(1769903999), day_of(1769904000)), ("2026-01-31", "2026-02-01"))
