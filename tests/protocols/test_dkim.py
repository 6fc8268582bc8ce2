"""What a DKIM signature is made over, and how it is written: against RFC 6376, the example of RFC 8463, and dkimpy."""

from __future__ import annotations

import base64
import hashlib
import itertools
import random
import re

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from dkim.canonicalization import Relaxed
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.dkim_canonical import BodyDigest, Field, fields_of, relaxed_field
from hermes.protocols.dkim_signature import ED25519, RSA, Coverage, covered, draft
from tests.support.dkim import ED25519_SECRET, EXAMPLE, EXAMPLE_RECORDS, RSA_SECRET, verified


def digest_of(body: bytes, *cuts: int, binary: bool = False) -> bytes:
    """The digest of a body that comes in pieces."""
    digest = BodyDigest(binary=binary)
    places = [0, *sorted(cuts), len(body)]
    for start, end in itertools.pairwise(places):
        digest.update(body[start:end])
    return digest.finish()


def sha256(text: bytes) -> bytes:
    """For comparison."""
    return hashlib.sha256(text).digest()


class BodyTests(SynchronousTestCase):
    """The body in the relaxed form (RFC 6376 3.4.4)."""

    def test_rules(self) -> None:
        """Runs of white space become one, those at the end of a line and empty lines at the end go; lines end in CRLF."""
        for stored, canonical in (
            (b"", b""),
            (b"\n", b""),
            (b"\n\n\n", b""),
            (b" \t \n \n", b""),
            (b" C \nD \t E\n\n\n", b" C\r\nD E\r\n"),  # RFC 6376 3.4.5
            (b"no end", b"no end\r\n"),
            (b"a\n\n\nb\n", b"a\r\n\r\n\r\nb\r\n"),
            (b"a\r\nb\r\n", b"a\r\nb\r\n"),
            (b"\n\nlate\n", b"\r\n\r\nlate\r\n"),
        ):
            for cut in range(len(stored) + 1):
                self.assertEqual(digest_of(stored, cut), sha256(canonical), (stored, cut))
            self.assertEqual(digest_of(stored, *range(1, len(stored))), sha256(canonical), stored)

    def test_many_empty_lines(self) -> None:
        """Empty lines that turn out not to be the last are all there, and cost no memory to count."""
        body = b"a\n" + b"\n" * 100_000 + b"b\n"
        self.assertEqual(digest_of(body, 5, 40_000, 90_001), sha256(b"a\r\n" + b"\r\n" * 100_000 + b"b\r\n"))

    def test_binary(self) -> None:
        """The octets of a binary message are as they are on the wire: CR and LF that stand alone stay."""
        for stored, canonical in (
            (b"a\r\nb \r\n\r\n", b"a\r\nb\r\n"),
            (b"a\nb\rc\r\n", b"a\nb\rc\r\n"),
            (b"a\n\r\n\r\n", b"a\n\r\n"),
            (b"a\r", b"a\r\r\n"),
            (b"a \t\r", b"a \r\r\n"),
            (b" \r", b" \r\r\n"),
            (b"a\r\r\n", b"a\r\r\n"),
            (b"a\n\n\r\n", b"a\n\n\r\n"),
            (b"a\n\n", b"a\n\n\r\n"),
        ):
            for cut in range(len(stored) + 1):
                self.assertEqual(digest_of(stored, cut, binary=True), sha256(canonical), (stored, cut))

    @given(st.lists(st.sampled_from([b"a", b".", b" ", b"\t", b"\n", b"\n\n", b"text "]), max_size=40), st.randoms())
    def test_like_others(self, parts: list[bytes], dice: random.Random) -> None:
        """However a body is made and cut: the digest is that of the body as dkimpy makes it canonical."""
        body = b"".join(parts)
        wire = body.replace(b"\n", b"\r\n")
        if wire and not wire.endswith(b"\r\n"):
            wire += b"\r\n"
        cuts = [dice.randint(0, len(body)) for _ in range(dice.randint(0, 5))]
        self.assertEqual(digest_of(body, *cuts), sha256(Relaxed.canonicalize_body(wire)))


class HeaderTests(SynchronousTestCase):
    """Fields, and their relaxed form (RFC 6376 3.4.2)."""

    def test_relaxed(self) -> None:
        """The example of RFC 6376 3.4.5, and folding at odd places."""
        self.assertEqual(relaxed_field(b"A: X"), b"a:X")
        self.assertEqual(relaxed_field(b"B : Y\t\r\n\tZ  "), b"b:Y Z")
        self.assertEqual(relaxed_field(b"SubJect:\r\n two\r\n \r\n lines "), b"subject:two lines")
        self.assertEqual(relaxed_field(b"x:"), b"x:")

    def test_fields(self) -> None:
        """Fields with the lines that they go on in; what is none makes the whole no header."""
        found = fields_of(b"From: a\n b\nTo:c\r\n")
        self.assertEqual(found, [Field("from", b"From: a\r\n b"), Field("to", b"To:c")])
        for odd in (b"no colon\n", b": no name\n", b" begins folded\nA: b\n", b"A b: c\n", b"A: b\n\xff: c\n", b""):
            self.assertIsNone(fields_of(odd), odd)

    def test_covered(self) -> None:
        """Of several the last comes first; of those that may not be added one more than there are; some are never signed."""
        fields = fields_of(b"Received: x\nTo: 1\nFrom: f\nTo: 2\nX: y\n") or []
        chosen = covered(fields, Coverage(("from", "to", "received", "subject"), ("from", "subject")))
        self.assertEqual(
            [(name, field and field.octets) for name, field in chosen],
            [("from", b"From: f"), ("from", None), ("to", b"To: 2"), ("to", b"To: 1"), ("subject", None)],
        )


class ExampleTests(SynchronousTestCase):
    """The example of RFC 8463 A."""

    def test_signatures(self) -> None:
        """Its body hash and both of its signatures come out octet by octet."""
        header, _, body = EXAMPLE.partition(b"\r\n\r\n")
        fields = fields_of(header) or []
        body_hash = digest_of(body)
        for position, kind in ((0, ED25519), (1, RSA)):
            field = fields[position].octets
            tags = {name.strip(): value for name, _, value in (tag.partition(b"=") for tag in field.split(b";"))}
            self.assertEqual(base64.b64decode(b"".join(tags[b"bh"].split())), body_hash)
            rest = list(fields[2:])
            parts = []
            for name in (part.strip().decode() for part in tags[b"h"].split(b":")):
                found = [each for each in rest if each.name == name]
                if found:
                    rest.remove(found[-1])
                    parts.append(relaxed_field(found[-1].octets) + b"\r\n")
            unsigned = re.sub(rb"(;\r\n b=)[^;]*\Z", rb"\1", field)
            data = b"".join(parts) + relaxed_field(unsigned)
            if kind == ED25519:
                key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(ED25519_SECRET))
                signature = key.sign(sha256(data))
            else:
                signature = load_pem_private_key(RSA_SECRET, None).sign(data, PKCS1v15(), hashes.SHA256())  # type: ignore[union-attr, call-arg, arg-type]
            self.assertEqual(signature, base64.b64decode(b"".join(tags[b"b"].split())))

    def test_draft(self) -> None:
        """With the example's keys, what we write verifies with dkimpy, whatever is folded, and breaks with one more From."""
        header, _, body = EXAMPLE.partition(b"\r\n\r\n")
        fields = (fields_of(header) or [])[2:]
        plain = b"".join(field.octets + b"\r\n" for field in fields)
        key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(ED25519_SECRET))
        one = draft(
            fields,
            digest_of(body),
            domain="football.example.com",
            selector="brisbane",
            algorithm=ED25519,
            signed_at=1528637909,
            coverage=Coverage(),
        )
        lines = one.signed(key.sign(sha256(one.to_sign)))
        self.assertLessEqual(max(map(len, lines.splitlines())), 78)
        message = lines.encode().replace(b"\n", b"\r\n") + plain + b"\r\n" + body
        self.assertTrue(verified(message, EXAMPLE_RECORDS))
        self.assertFalse(verified(b"From: other@example.org\r\n" + message, EXAMPLE_RECORDS))
        self.assertFalse(verified(message.replace(b"hungry", b"angry"), EXAMPLE_RECORDS))

    def test_long(self) -> None:
        """Names of any length and many fields: each line stays short, and the signature verifies."""
        fields = [Field(f"x-{number}-{'y' * 60}", b"X-%d-%s: z" % (number, b"y" * 60)) for number in range(20)]
        fields.append(Field("from", b"From: joe@football.example.com"))
        coverage = Coverage([field.name for field in fields], ["from"])
        one = draft(
            fields,
            digest_of(b"x\n"),
            domain="football.example.com",
            selector="brisbane",
            algorithm=ED25519,
            signed_at=1,
            coverage=coverage,
        )
        key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(ED25519_SECRET))
        lines = one.signed(key.sign(sha256(one.to_sign)))
        self.assertLessEqual(max(map(len, lines.splitlines())), 78)
        plain = b"".join(field.octets + b"\r\n" for field in fields)
        message = lines.encode().replace(b"\n", b"\r\n") + plain + b"\r\nx\r\n"
        self.assertTrue(verified(message, EXAMPLE_RECORDS))
