"""The client's side of SCRAM-SHA-256, by the examples of the standard and against our own server."""

from __future__ import annotations

import base64
import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols import scram_client
from hermes.protocols.sasl import KeysWanted, Prompt, Proof, ServerPart
from hermes.protocols.sasl_client import Channel, Login, begin
from hermes.protocols.sasl_login import Derivation, Exchange
from hermes.protocols.saslprep import saslprep
from hermes.protocols.scram import ScramServer
from hermes.protocols.scram_client import MAX_ITERATIONS, MAX_NONCE_CHARACTERS, MAX_SALT_OCTETS
from hermes.protocols.scram_keys import derive

# The example of RFC 7677 3.
NONCE = "rOprNGfwEbeRWgbNEkqO"
BOTH = NONCE + "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SALT = "W22ZaJ0SNY7soEsUEjb6gQ=="
SERVER_FIRST = f"r={BOTH},s={SALT},i=4096".encode()
CLIENT_FINAL = f"c=biws,r={BOTH},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=".encode()
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def client(login: Login | None = None, channel: Channel | None = None) -> Exchange:
    """An exchange with the example's nonce."""
    return begin("SCRAM-SHA-256", login or Login("user", "pencil"), channel or Channel(nonce=NONCE))


def answer(exchange: Exchange, challenge: bytes) -> bytes | None:
    """What is answered in the end, with the work done that it takes."""
    response = exchange.respond(challenge)
    return response.proceed(response.keys()) if isinstance(response, Derivation) else response


class ExampleTests(SynchronousTestCase):
    """RFC 7677 3."""

    def test_example(self) -> None:
        """Every message is the one of the example, and the server is believed after its proof, not before."""
        exchange = client()
        self.assertEqual(exchange.initial(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
        self.assertFalse(exchange.satisfied)
        self.assertEqual(answer(exchange, SERVER_FIRST), CLIENT_FINAL)
        self.assertFalse(exchange.satisfied)
        self.assertEqual(answer(exchange, SERVER_FINAL), b"")
        self.assertTrue(exchange.satisfied)
        self.assertEqual(exchange.remark, "")

    def test_after_the_end(self) -> None:
        """Whoever goes on after the proof has not understood the mechanism, and is not believed any more."""
        exchange = client()
        answer(exchange, SERVER_FIRST)
        answer(exchange, SERVER_FINAL)
        self.assertIsNone(answer(exchange, SERVER_FINAL))
        self.assertFalse(exchange.satisfied)

    def test_header(self) -> None:
        """The header says whether we could bind: no; yes, but it was not offered; yes, by this (RFC 5802 6)."""
        bound = Channel(binding="tls-exporter", bound=b"b", nonce="x")
        for mechanism, channel, offered, start in (
            ("SCRAM-SHA-256", Channel(nonce="x"), [], b"n,,n="),
            ("SCRAM-SHA-256", bound, ["SCRAM-SHA-256"], b"y,,n="),
            # Only our own settings rule -PLUS out: "y" would be taken for an attack.
            ("SCRAM-SHA-256", bound, ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"], b"n,,n="),
            ("SCRAM-SHA-256-PLUS", bound, ["SCRAM-SHA-256-PLUS"], b"p=tls-exporter,,n="),
        ):
            initial = begin(mechanism, Login("user", "pencil"), channel, offered).initial()
            self.assertTrue((initial or b"").startswith(start), initial)

    def test_names(self) -> None:
        """Commas and equals signs are escaped (RFC 5802 5.1), and what SASLprep forbids goes as it is."""
        for name, written in (("a=b,c", "n=a=3Db=2Cc"), ("\u00aa", "n=a"), ("a\x07", "n=a\x07")):
            initial = client(Login(name, "x")).initial()
            self.assertEqual(initial, f"n,,{written},r={NONCE}".encode())


class ServerTests(SynchronousTestCase):
    """Against the server's side."""

    def run_with(
        self, password: str, mechanism: str, *, bound: bytes = b"", there: bytes = b""
    ) -> tuple[Proof, Exchange]:
        """The end of an exchange in which the account's password is "p\u00e4ss"."""
        server = ScramServer(mechanism, plus_offered=False)
        channel = Channel(binding="tls-exporter" if bound else "", bound=bound, nonce="abc")
        exchange = begin(mechanism, Login("a,n=na", password), channel, [mechanism])
        step = server.step(exchange.initial())
        assert isinstance(step, KeysWanted), step
        self.assertEqual(step.name, "a,n=na")
        keys = derive(saslprep("p\u00e4ss").encode(), b"salt", 4096)
        step = step.proceed(ServerPart(keys, "xyz", there))
        while isinstance(step, Prompt):
            response = answer(exchange, step.octets)
            assert response is not None, exchange.remark
            step = server.step(response)
        assert isinstance(step, Proof), step
        return step, exchange

    def test_right(self) -> None:
        """The right password, in any form of writing it, proves itself and gets the server's proof."""
        for password in ("p\u00e4ss", "pa\u0308ss"):
            proof, exchange = self.run_with(password, "SCRAM-SHA-256")
            self.assertTrue(proof.matches)
            self.assertTrue(exchange.satisfied)

    def test_plus(self) -> None:
        """With -PLUS both ends must know the same connection."""
        proof, exchange = self.run_with("p\u00e4ss", "SCRAM-SHA-256-PLUS", bound=b"one", there=b"one")
        self.assertTrue(proof.matches and exchange.satisfied)
        proof, exchange = self.run_with("p\u00e4ss", "SCRAM-SHA-256-PLUS", bound=b"one", there=b"other")
        self.assertFalse(proof.matches or exchange.satisfied)

    def test_wrong(self) -> None:
        """A wrong password proves nothing."""
        proof, exchange = self.run_with("pass", "SCRAM-SHA-256")
        self.assertFalse(proof.matches or exchange.satisfied)


class HostileTests(SynchronousTestCase):
    """A server that does not mean well."""

    def refused(self, first: bytes, words: str) -> None:
        """The first message is not answered, and the remark says why."""
        exchange = client()
        self.assertIsNone(answer(exchange, first))
        self.assertIn(words, exchange.remark)
        self.assertFalse(exchange.satisfied)

    def test_garbage(self) -> None:
        """What is not the server's first message ends the exchange."""
        for first in (
            b"", b"r=", b"\xff", b"v=AAAA", SERVER_FIRST + b"\0", SERVER_FIRST + b",", b"m=x," + SERVER_FIRST,
            f"r={BOTH},s=,i=4096".encode(), f"r={BOTH},s=!,i=4096".encode(), f"r={BOTH},s=AAA,i=4096".encode(),
            f"r={BOTH},s={SALT},i=0".encode(), f"r={BOTH},s={SALT},i=-1".encode(), f"r={BOTH},s={SALT},i=04096".encode(),
            f"r={BOTH},s={SALT},i=99999999999".encode(), f"r={BOTH},s={SALT}".encode(), SERVER_FIRST * 100,
        ):  # fmt: skip
            self.refused(first, "not SCRAM")

    def test_nonce(self) -> None:
        """The nonce must begin with ours, and have something of the server's, not without end."""
        for nonce in ("x" + BOTH, NONCE, NONCE[:-1], NONCE + "x" * (MAX_NONCE_CHARACTERS - len(NONCE) + 1)):
            self.refused(f"r={nonce},s={SALT},i=4096".encode(), "nonce")
        longest = NONCE + "x" * (MAX_NONCE_CHARACTERS - len(NONCE))
        self.assertIsNotNone(answer(client(), f"r={longest},s={SALT},i=4096".encode()))

    def test_iterations(self) -> None:
        """Fewer than are safe (RFC 7677 4) and more than anybody has time for are refused."""
        self.patch(scram_client, "MAX_ITERATIONS", 5000)
        for iterations, words in ((1, "fewer"), (4095, "fewer"), (5001, "more"), (MAX_ITERATIONS, "more")):
            self.refused(f"r={BOTH},s={SALT},i={iterations}".encode(), words)
        for iterations in (4096, 5000):
            self.assertIsNotNone(answer(client(), f"r={BOTH},s={SALT},i={iterations}".encode()))

    def test_salt(self) -> None:
        """A salt has a longest length."""
        for octets, fits in ((MAX_SALT_OCTETS, True), (MAX_SALT_OCTETS + 1, False)):
            salt = base64.b64encode(bytes(octets)).decode()
            response = answer(client(), f"r={BOTH},s={salt},i=4096".encode())
            self.assertEqual(response is not None, fits)

    def test_extensions(self) -> None:
        """Extensions that need not be understood are part of what is proved (RFC 5802 5.1)."""
        self.assertIsNotNone(answer(client(), SERVER_FIRST + b",x=later"))

    def test_last_message(self) -> None:
        """Garbage, an error or a wrong proof in the end: nothing is believed."""
        for final, words in (
            (b"", "not SCRAM"),
            (b"\xff", "not SCRAM"),
            (b"v=", "not SCRAM"),
            (b"v=AAA", "not SCRAM"),
            (b"v=AAAA", "could not prove"),
            (b"v=" + base64.b64encode(bytes(32)), "could not prove"),
            (b"e=invalid-proof", "it says invalid-proof"),
            (b"e=" + b"x" * 65, "not SCRAM"),
        ):
            exchange = client()
            answer(exchange, SERVER_FIRST)
            self.assertIsNone(answer(exchange, final))
            self.assertIn(words, exchange.remark)
            self.assertFalse(exchange.satisfied)

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.one_of(st.binary(max_size=60), st.just(SERVER_FIRST), st.just(SERVER_FINAL)), max_size=4))
    def test_anything(self, challenges: list[bytes]) -> None:
        """Whatever is said, nobody is believed but by the right messages in the right order; nothing is raised."""
        exchange = client()
        for challenge in challenges:
            if answer(exchange, challenge) is None:
                break
        self.assertEqual(exchange.satisfied, challenges == [SERVER_FIRST, SERVER_FINAL])


class RememberedKeysTests(SynchronousTestCase):
    """The slow part is done once, and where the owner wants it done."""

    def test_only_asked_for(self) -> None:
        """How much work it is stands in what is asked for; the exchange itself computes nothing, and shows no password."""
        self.patch(hashlib, "pbkdf2_hmac", lambda *_: self.fail("computed in the exchange"))
        wanted = client().respond(f"r={BOTH},s={SALT},i={MAX_ITERATIONS}".encode())
        assert isinstance(wanted, Derivation)
        self.assertEqual((wanted.password, wanted.iterations), (b"pencil", MAX_ITERATIONS))
        self.assertEqual(wanted.salt, base64.b64decode(SALT))
        self.assertNotIn("pencil", repr(wanted))

    def test_once(self) -> None:
        """The second login with the same salt computes nothing; another salt replaces what is remembered."""
        computed: list[bytes] = []
        real = hashlib.pbkdf2_hmac

        def counted(name: str, password: bytes, salt: bytes, iterations: int) -> bytes:
            computed.append(salt)
            return real(name, password, salt, iterations)

        self.patch(hashlib, "pbkdf2_hmac", counted)
        login = Login("user", "pencil")
        for _ in range(3):
            self.assertEqual(answer(client(login), SERVER_FIRST), CLIENT_FINAL)
        self.assertEqual(len(computed), 1)
        answer(client(login), f"r={BOTH},s=AAAA,i=4096".encode())
        self.assertEqual((len(computed), len(login.keys)), (2, 1))
