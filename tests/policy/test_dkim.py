"""Keys of DKIM on disk, and who gets a signature."""

from __future__ import annotations

import os
import shutil
import tracemalloc
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import attrs
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_curve_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.core.envelope import Origin
from hermes.core.jobs import perform_each
from hermes.core.message import QueuedMessage, Signature
from hermes.interfaces import ISigner
from hermes.policy.dkim_keys import (
    LOOK_SECONDS,
    KeyFaultError,
    Keyring,
    State,
    change_state,
    create_key,
    domains_of,
    keys_of,
    load_key,
)
from hermes.policy.dkim_signer import MAX_FIELDS, DKIMSigner, Profile, SignatureMemory
from hermes.protocols.dkim_signature import ED25519, RSA, Coverage
from tests.support.dkim import verified
from tests.support.outgoing import Reader, message
from tests.support.worker import ImmediateWorker

FROM_JOE = b"From: Joe <joe@example.org>\nTo: a@example.com\nSubject: test\n\nHello\n"


class KeyTests(SynchronousTestCase):
    """Files, states and records."""

    def setUp(self) -> None:
        """An empty directory."""
        self.directory = os.path.abspath(self.mktemp())
        self.time = 1_700_000_000.0

    def ring(self) -> Keyring:
        """The keys as the server sees them."""
        return Keyring(self.directory, lambda: self.time)

    def test_create(self) -> None:
        """A key is a file that nobody else can read, RSA has 2048 bits, and no selector is used twice."""
        one = create_key(self.directory, "example.org", "r1", RSA, State.IN_USE)
        two = create_key(self.directory, "example.org", "e1", ED25519, State.NEXT)
        path = Path(self.directory, "example.org", "r1.pem")
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(path.parent.stat().st_mode & 0o777, 0o700)
        self.assertEqual((one.words, two.words), ("rsa 2048", "ed25519"))
        self.assertEqual(one.name, "r1._domainkey.example.org")
        self.assertTrue(one.record.startswith("v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"))
        self.assertEqual(len(two.record), len("v=DKIM1; k=ed25519; p=") + 44)
        self.assertNotIn("key=", repr(one))
        with self.assertRaises(FileExistsError):
            create_key(self.directory, "example.org", "e1", RSA, State.IN_USE)
        self.assertEqual(domains_of(self.directory), ["example.org"])
        self.assertEqual(domains_of(self.directory + "/none"), [])

    def test_matches(self) -> None:
        """A record is the key's when p= is, wherever white space stands; without k= it is RSA (RFC 6376 3.6.1)."""
        one = create_key(self.directory, "example.org", "r1", RSA, State.IN_USE)
        p = one.record.partition("p=")[2].encode()
        self.assertTrue(one.matches([b"v=spf1 -all", one.record.encode()]))
        self.assertTrue(one.matches([b"p=" + p[:50] + b" " + p[50:] + b";"]))
        for other in (b"k=ed25519; p=" + p, b"p=", b"", b"p=" + p[:-4]):
            self.assertFalse(one.matches([other]), other)
        self.assertFalse(one.matches([]))

    def test_states(self) -> None:
        """Only those in use sign, RSA first; a change is seen within a second, and a named key signs in any state."""
        ring = self.ring()
        self.assertEqual(ring.keys("example.org"), [])
        coming = create_key(self.directory, "example.org", "a1", ED25519, State.NEXT)
        create_key(self.directory, "example.org", "b1", RSA, State.IN_USE)
        self.assertEqual(ring.keys("example.org"), [])
        self.time += 1
        self.assertEqual([key.selector for key in ring.keys("example.org")], ["b1"])
        self.assertEqual([key.selector for key in ring.keys("example.org", ["a1"])], ["a1"])
        change_state(self.directory, coming, State.IN_USE, self.time)
        self.time += 1
        self.assertEqual([key.selector for key in ring.keys("example.org")], ["b1", "a1"])
        (_, changed) = ring.keys("example.org")
        self.assertEqual(changed.changed_at, self.time - 1)

    def test_no_way_out(self) -> None:
        """What stands in From: leads to no other directory."""
        create_key(self.directory, "example.org", "b1", RSA, State.IN_USE)
        for odd in (
            "../example.org",
            "..",
            "",
            "/etc",
            "a/../example.org",
            "example.org/",
            "EXAMPLE.ORG",
            "x..y",
            "\0",
        ):
            self.assertEqual(self.ring().keys(odd), [], odd)

    def test_broken(self) -> None:
        """A file that is no key, or a weak one, is told; the others go on."""
        good = create_key(self.directory, "example.org", "good", ED25519, State.IN_USE)
        place = Path(self.directory, "example.org")
        place.joinpath("bad.pem").write_bytes(b"nothing")
        place.joinpath("notes.txt").write_bytes(b"nothing")
        weak = generate_private_key(65537, 1024).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        place.joinpath("enough.pem").write_bytes(weak)
        curve = generate_curve_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        place.joinpath("curve.pem").write_bytes(curve)
        keys, faults = keys_of(self.directory, "example.org")
        self.assertEqual([key.selector for key in keys], ["enough", good.selector])
        self.assertEqual(len(faults), 2)
        self.assertIn("bad.pem: this is not a private key", faults[0])
        self.assertIn("curve.pem: is neither", faults[1])
        self.assertEqual(len(self.ring().keys("example.org")), 2)
        self.assertEqual(len(self.flushLoggedErrors()), 0)
        with self.assertRaises(KeyFaultError):
            load_key(str(place / "bad.pem"), "example.org", "bad", State.IN_USE)

    def test_empty(self) -> None:
        """No directory and an empty one are no keys; one that cannot be read may hold some."""
        self.assertTrue(Keyring(self.directory, lambda: 0.0).is_empty())
        os.makedirs(self.directory, exist_ok=True)
        self.assertTrue(Keyring(self.directory, lambda: 0.0).is_empty())
        create_key(self.directory, "example.org", "s1", ED25519, State.IN_USE)
        self.assertFalse(Keyring(self.directory, lambda: 0.0).is_empty())
        self.assertFalse(Keyring(os.path.join(self.directory, "example.org", "s1.pem"), lambda: 0.0).is_empty())

    def test_unreadable(self) -> None:
        """A file in the place of a directory is told, and nothing is signed."""
        Path(self.directory).mkdir()
        Path(self.directory, "example.org").write_bytes(b"")
        self.assertEqual(self.ring().keys("example.org"), [])


class Store:
    """Keeps signatures as a spool does; ``full`` makes it fail."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Signature] = {}
        self.full = False
        self.asked = 0

    async def keep_signature(self, queue_id: str, variant: str, signature: Signature) -> None:
        """Keep one."""
        if self.full:
            raise OSError("no space left")
        self.kept[queue_id, variant] = signature

    async def signature(self, queue_id: str, variant: str) -> Signature | None:
        """Find one."""
        self.asked += 1
        return self.kept.get((queue_id, variant))


class SignerTests(SynchronousTestCase):
    """Who gets a signature, and how often it is made."""

    def setUp(self) -> None:
        """A domain with two keys."""
        self.directory = os.path.abspath(self.mktemp())
        keys = [
            create_key(self.directory, "example.org", "r1", RSA, State.IN_USE, 1024),
            create_key(self.directory, "example.org", "e1", ED25519, State.IN_USE),
        ]
        self.records = {f"{key.name}.": key.record.encode() for key in keys}
        self.worker = ImmediateWorker()
        self.worker.start(perform_each)
        self.store = Store()
        self.reader = Reader(piece_octets=64)
        self.other: Profile | None = None
        self.now = 1_700_000_000.5

    def signer(self, memory: SignatureMemory | None = None) -> DKIMSigner:
        """One that signs for everybody with a key."""

        async def addresses_of(name: str) -> list[str]:
            return ["joe@example.org"] if name == "joe" else []

        return DKIMSigner(
            lambda domain: self.other or Profile(domain, Coverage()),
            Keyring(self.directory, lambda: self.now),
            self.worker,
            self.store,
            may_relay=lambda peer: peer == "192.0.2.7",
            addresses_of=addresses_of,
            now=lambda: self.now,
            memory=memory or SignatureMemory(),
        )

    def message(self, data: bytes = FROM_JOE, origin: Origin | None = None, **more: Any) -> QueuedMessage:
        """A message of somebody who has logged in."""
        sending, _ = message("a@example.com", data=data, **more)
        sending.origin = origin or Origin("ESMTPSA", "192.0.2.1", account="joe")
        return sending

    def other_message(self, number: int) -> QueuedMessage:
        """One of which nothing is remembered."""
        return attrs.evolve(self.message(), queue_id=f"0TEST000010{number}")

    def sign(self, signer: DKIMSigner, sending: QueuedMessage, variant: str = "") -> Signature | None:
        """Its signature."""

        def chunks() -> AsyncGenerator[bytes, None]:
            return self.reader.chunks(sending.content, sending.content.prefix_octets)  # type: ignore[return-value]

        return self.successResultOf(Deferred.fromCoroutine(signer.sign(sending, chunks, variant)))

    def test_signed(self) -> None:
        """Two signatures, RSA and Ed25519, each good by itself; the file's body is read once."""
        signer = self.signer()
        self.assertTrue(verifyObject(ISigner, signer))
        signature = self.sign(signer, self.message())
        assert signature is not None
        self.assertEqual(signature.names, "example.org/r1 example.org/e1")
        self.assertEqual(self.reader.reads, 1)
        octets = signature.lines + FROM_JOE
        self.assertEqual([verified(octets, self.records, number) for number in (0, 1)], [True, True])
        self.assertIn(b"t=1700000000;", signature.lines)
        for broken in (octets.replace(b"Hello", b"Hallo"), b"Subject: other\n" + octets):
            self.assertEqual([verified(broken, self.records, number) for number in (0, 1)], [False, False])

    def test_whose(self) -> None:
        """Accounts at their own domains, relays, and this server itself; strangers never, also when their mail is sent on."""
        foreign = FROM_JOE.replace(b"joe@example.org", b"joe@example.net")
        create_key(self.directory, "example.net", "n1", ED25519, State.IN_USE)
        for data, origin, signed in (
            (FROM_JOE, Origin("ESMTPSA", "192.0.2.1", account="joe"), True),
            (FROM_JOE, Origin("forward", account="joe"), True),
            (FROM_JOE, Origin("local"), True),
            (FROM_JOE, Origin("ESMTP", "192.0.2.7"), True),
            (foreign, Origin("ESMTP", "192.0.2.7"), True),
            (foreign, Origin("ESMTPSA", "192.0.2.1", account="joe"), False),
            (FROM_JOE, Origin("ESMTP", "192.0.2.1"), False),
            (FROM_JOE, Origin("forward"), False),
            (FROM_JOE, Origin("LMTP"), False),
        ):
            signature = self.sign(self.signer(), self.message(data, origin))
            self.assertEqual(signature is not None, signed, (data, origin))

    def test_account_without_address(self) -> None:
        """The envelope's sender was checked already: its domain counts too."""
        origin = Origin("ESMTPSA", "192.0.2.1", account="ann")
        self.assertIsNotNone(self.sign(self.signer(), self.message(origin=origin)))
        self.assertIsNone(self.sign(self.signer(), self.message(origin=origin, reverse_path="")))

    def test_many_fields(self) -> None:
        """A header of so many fields is signed, and one of more is not: the signature would name each of them."""
        least = FROM_JOE.partition(b"\n\n")[0].count(b"\n") + 1
        for more, signed in ((MAX_FIELDS - least, True), (MAX_FIELDS - least + 1, False)):
            signature = self.sign(self.signer(), self.message(b"Cc:\n" * more + FROM_JOE))
            self.assertEqual(signature is not None, signed)

    def test_odd(self) -> None:
        """Without one From: with one domain, without a header, or with one that is too large, there is no signature."""
        for data in (
            b"To: a@example.com\n\nx\n",
            FROM_JOE[:20].rstrip(b"\n") + b"\n\n",
            b"From: a@example.org\n" + FROM_JOE,
            b"From: a@example.org, b@example.net\n\nx\n",
            b"From: nobody\n\nx\n",
            b"From: a@none.example\n\nx\n",
            b"From: a@../example.org\n\nx\n",
            b"\nbody\n",
            b"",
            b"no header\n\nbody\n" + FROM_JOE,
            b"X: " + b"x" * 70_000 + b"\n" + FROM_JOE,
            b"X: " + b"x" * 140_000 + b"\n" + FROM_JOE,
        ):
            self.reader = Reader(piece_octets=65536)
            self.assertIsNone(self.sign(self.signer(), self.message(data)), repr(data[:60]))

    def test_only_header(self) -> None:
        """A message of a header alone, with or without the empty line, is signed."""
        for data in (b"From: joe@example.org\nSubject: x\n", b"From: joe@example.org\nSubject: x\n\n"):
            signature = self.sign(self.signer(), self.message(data))
            assert signature is not None
            self.assertTrue(verified(signature.lines + data.rstrip() + b"\n\n", self.records))

    def test_international(self) -> None:
        """A domain in U-labels is signed for by its A-labels (RFC 8616)."""
        create_key(self.directory, "xn--bcher-kva.example", "b1", ED25519, State.IN_USE)
        data = "From: joe@bücher.example\nSubject: Grüße\n\nx\n".encode()
        signature = self.sign(self.signer(), self.message(data, Origin("local")))
        assert signature is not None
        self.assertEqual(signature.names, "xn--bcher-kva.example/b1")
        # RFC 5891 5.3: a letter that IDNA of old made two of is one, as for all other names here.
        create_key(self.directory, "xn--strae-oqa.example", "s1", ED25519, State.IN_USE)
        sharp = self.sign(self.signer(), self.message("From: joe@stra\u00dfe.example\n\nx\n".encode(), Origin("local")))
        assert sharp is not None
        self.assertEqual(sharp.names, "xn--strae-oqa.example/s1")
        odd = "From: joe@bü..cher.example\n\nx\n".encode()
        self.assertIsNone(self.sign(self.signer(), self.message(odd, Origin("local"))))

    def test_binary(self) -> None:
        """A binary message is signed as it goes over the wire."""
        data = b"From: joe@example.org\r\nSubject: x\r\n\r\nbody \r\n\r\n"
        signature = self.sign(self.signer(), self.message(data, binary=True))
        assert signature is not None
        self.assertTrue(verified(signature.lines.replace(b"\n", b"\r\n") + data, self.records))

    def test_profile(self) -> None:
        """Another domain's key signs where a profile says so, and of its keys only those that it names."""
        self.other = Profile("example.org", Coverage(), ["e1"])
        data = FROM_JOE.replace(b"joe@example.org", b"joe@sub.example.org")
        signature = self.sign(self.signer(), self.message(data, Origin("local")))
        assert signature is not None
        self.assertEqual(signature.names, "example.org/e1")

    def test_once(self) -> None:
        """Many deliveries of one message at the same time, and later ones, have the same signature; other variants their own."""
        signer, sending = self.signer(), self.message()
        self.worker.paused = True

        def chunks() -> AsyncGenerator[bytes, None]:
            return self.reader.chunks(sending.content, sending.content.prefix_octets)  # type: ignore[return-value]

        waiting = [Deferred.fromCoroutine(signer.sign(sending, chunks)) for _ in range(3)]
        waiting[0].addErrback(lambda _: None).cancel()
        while not waiting[1].called:
            self.worker.step()
        self.worker.resume()
        first, second = (self.successResultOf(each) for each in waiting[1:])
        self.assertIsNotNone(first)
        self.assertIs(first, second)
        self.assertIs(self.sign(signer, sending), first)
        self.assertEqual(self.reader.reads, 1)
        self.sign(signer, sending, "rewritten")
        self.assertEqual(self.reader.reads, 2)

    def test_no_keys(self) -> None:
        """Where no domain has a key the thread is asked once a second, and a key that comes is found by then."""
        for entry in list(os.scandir(self.directory)):
            shutil.rmtree(entry.path)
        signer = self.signer()
        self.assertIsNone(self.sign(signer, self.other_message(1)))
        self.assertEqual(len(self.worker.groups), 1)
        create_key(self.directory, "example.org", "e2", ED25519, State.IN_USE)
        self.now += LOOK_SECONDS - 0.01
        self.assertIsNone(self.sign(signer, self.other_message(2)))
        self.assertEqual((len(self.worker.groups), self.reader.reads), (1, 1))
        self.now += 0.02
        signature = self.sign(signer, self.other_message(3))
        assert signature is not None
        self.assertEqual(signature.names, "example.org/e2")

    def test_no_keys_any_more(self) -> None:
        """A signature of an earlier attempt is used though there are no keys now; a clock that is set back is no obstacle."""
        signer, waiting = self.signer(), self.message()
        signature = self.sign(signer, waiting)
        self.successResultOf(Deferred.fromCoroutine(signer.keep(waiting)))
        keys = self.directory
        self.directory = os.path.abspath(self.mktemp())
        signer = self.signer()
        self.assertIsNone(self.sign(signer, self.other_message(1)))
        waiting.recipients[0] = attrs.evolve(waiting.recipients[0], attempts=1)
        self.assertEqual(self.sign(signer, waiting), signature)
        os.rename(keys, self.directory)
        self.now -= 3600
        self.assertIsNotNone(self.sign(signer, self.other_message(2)))

    def test_kept(self) -> None:
        """A signature is kept once with a message that waits, and found again when it is tried again."""
        signer, sending = self.signer(), self.message()
        keep = Deferred.fromCoroutine
        self.successResultOf(keep(signer.keep(sending)))
        self.assertEqual(self.store.kept, {})
        signature = self.sign(signer, sending)
        assert signature is not None
        self.store.full = True
        self.successResultOf(keep(signer.keep(sending)))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.store.full = False
        self.successResultOf(keep(signer.keep(sending)))
        self.successResultOf(keep(signer.keep(sending)))
        self.assertEqual(self.store.kept, {("0TEST0000001", ""): signature})
        sending.recipients[0] = attrs.evolve(sending.recipients[0], attempts=1)
        self.assertEqual(self.sign(self.signer(), sending), signature)
        self.assertEqual((self.reader.reads, self.store.asked), (1, 1))
        self.store.kept.clear()
        self.assertIsNotNone(self.sign(self.signer(), sending))

    def test_memory_is_bounded(self) -> None:
        """The oldest signature is forgotten when there are too many."""
        memory = SignatureMemory(most=2)
        signer, sending = self.signer(memory), self.message()
        for variant in ("a", "b"):
            self.sign(signer, sending, variant)
        self.assertIsNotNone(memory.get((sending.queue_id, "a")))
        self.sign(signer, sending, "c")
        self.assertIsNone(memory.get((sending.queue_id, "a")))
        self.assertIsNotNone(memory.get((sending.queue_id, "b")))

    def test_fault(self) -> None:
        """When the message cannot be read, everybody who waits is told, and it can be tried again."""
        self.reader = Reader(piece_octets=8, failing=True)
        signer, sending = self.signer(), self.message()

        def chunks() -> AsyncGenerator[bytes, None]:
            return self.reader.chunks(sending.content, sending.content.prefix_octets)  # type: ignore[return-value]

        self.failureResultOf(Deferred.fromCoroutine(signer.sign(sending, chunks)), OSError)
        self.reader = Reader()
        self.assertIsNotNone(self.sign(signer, sending))

    def test_large(self) -> None:
        """A large message takes no more memory than a few of its pieces."""
        signer, sending = self.signer(), self.message()
        piece = b"0123456789abcdef" * 4095 + b"x" * 15 + b"\n"

        async def chunks() -> AsyncGenerator[bytes, None]:
            yield FROM_JOE
            for _ in range(100):
                yield piece

        tracemalloc.start()
        try:
            signature = self.successResultOf(Deferred.fromCoroutine(signer.sign(sending, chunks)))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertIsNotNone(signature)
        self.assertLess(peak, 2 * 1024**2)
