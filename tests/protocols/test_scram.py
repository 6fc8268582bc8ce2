"""Tests of :mod:`hermes.protocols.scram`, from RFC 5802, RFC 7677 and RFC 9266."""

from __future__ import annotations

from base64 import b64decode, b64encode

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.sasl import MAX_FIELD_OCTETS, KeysWanted, Malformed, Prompt, Proof, ServerPart, Step
from hermes.protocols.sasl_mechanisms import WITH_KEYS, WITH_PASSWORD, begin, usable
from hermes.protocols.scram import CHANNEL_BINDINGS, MAX_NONCE_CHARACTERS, SCRAM, SCRAM_PLUS, ScramServer
from hermes.protocols.scram_keys import derive
from tests.support.scram import ScramClient, quick_keys

NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
KEYS = quick_keys("correct horse")
FIRST = b"n,,n=alice,r=abc"


def server(mechanism: str = SCRAM, *, plus_offered: bool = False) -> ScramServer:
    """A new exchange."""
    return ScramServer(mechanism, plus_offered=plus_offered)


class ExchangeTests(SynchronousTestCase):
    """Whole exchanges."""

    def wanted(self, step: Step) -> KeysWanted:
        """The step, which wants keys."""
        assert isinstance(step, KeysWanted), step
        return step

    def judged(self, client: ScramClient, scram: ScramServer, binding: bytes = b"") -> Step:
        """What comes of the client's final message."""
        wanted = self.wanted(scram.step(client.first()))
        return scram.step(client.final(wanted.proceed(ServerPart(KEYS, NONCE, binding)).octets))

    def test_example(self) -> None:
        """The example of RFC 7677 3, octet by octet."""
        scram = server()
        wanted = self.wanted(scram.step(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"))
        self.assertEqual((wanted.mechanism, wanted.name, wanted.authorization), ("SCRAM-SHA-256", "user", ""))
        keys = derive(b"pencil", b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)
        first = wanted.proceed(ServerPart(keys, NONCE))
        self.assertEqual(
            first.octets, b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        )
        final = scram.step(
            b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        )
        self.assertEqual(final, Prompt(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="))
        self.assertEqual(scram.step(b""), Proof("SCRAM-SHA-256", "user", matches=True))

    def test_asks_when_there_is_no_initial_response(self) -> None:
        """The client begins; an empty challenge asks for it."""
        scram = server()
        self.assertEqual(scram.step(None), Prompt(b""))
        self.wanted(scram.step(FIRST))

    def test_both_are_sure(self) -> None:
        """The client knows the server by its last message, and the server the client."""
        client, scram = ScramClient(), server()
        final = self.judged(client, scram)
        assert isinstance(final, Prompt)
        self.assertTrue(client.trusts(final.octets))
        self.assertEqual(scram.step(b""), Proof(SCRAM, "alice", matches=True))

    def test_wrong_password(self) -> None:
        """The proof of another password ends the exchange; the server does not show that it has keys."""
        self.assertEqual(self.judged(ScramClient(password="Correct horse"), server()), Proof(SCRAM, "alice", False))

    def test_nothing_behind_the_end(self) -> None:
        """The answer to the server's last message is empty (RFC 4954 4)."""
        scram = server()
        self.judged(ScramClient(), scram)
        self.assertIsInstance(scram.step(b"x"), Malformed)

    def test_channel_binding(self) -> None:
        """With -PLUS the proof holds for one connection; on another it is wrong, and the trace can say why."""
        for binding in CHANNEL_BINDINGS:
            client = ScramClient(flag=f"p={binding}", binding=b"of the client")
            scram = server(SCRAM_PLUS, plus_offered=True)
            self.assertIsInstance(self.judged(client, scram, b"of the client"), Prompt)
            self.assertEqual(scram.step(b""), Proof(SCRAM_PLUS, "alice", matches=True))
            scram = server(SCRAM_PLUS, plus_offered=True)
            self.assertEqual(self.wanted(scram.step(client.first())).binding, binding)
            judged = self.judged(client, server(SCRAM_PLUS, plus_offered=True), b"of the server")
            self.assertEqual(judged, Proof(SCRAM_PLUS, "alice", False, "the channel binding does not fit"))

    def test_header_is_bound(self) -> None:
        """What the client said of channel binding is part of the proof (RFC 5802 5.1, c=)."""
        scram = server()
        wanted = self.wanted(scram.step(FIRST))
        nonce = wanted.proceed(ServerPart(KEYS, NONCE)).octets.split(b",")[0]
        other = b64encode(b"y,,")
        judged = scram.step(b"c=" + other + b"," + nonce + b",p=" + b64encode(bytes(32)))
        self.assertEqual(judged, Proof(SCRAM, "alice", False, "the channel binding does not fit"))

    def test_downgrade(self) -> None:
        """A client that thinks we have no -PLUS, though it was offered, has been lied to (RFC 5802 6)."""
        self.assertIsInstance(server(plus_offered=True).step(b"y,,n=alice,r=abc"), Malformed)
        self.wanted(server(plus_offered=False).step(b"y,,n=alice,r=abc"))
        self.wanted(server(plus_offered=True).step(FIRST))

    def test_wrong_mechanism_for_the_flag(self) -> None:
        """-PLUS wants a channel binding that is known here, and only -PLUS has one."""
        for flag in (b"n", b"y", b"p=tls-unique", b"p=TLS-EXPORTER"):
            step = server(SCRAM_PLUS, plus_offered=True).step(flag + b",,n=alice,r=abc")
            self.assertIsInstance(step, Malformed, flag)
        self.assertIsInstance(server().step(b"p=tls-exporter,,n=alice,r=abc"), Malformed)

    def test_names(self) -> None:
        """Commas and equals signs are written =2C and =3D; names are compared after SASLprep."""
        for written, name in (
            ("a=2Cb=3Dc", "a,b=c"),
            ("=3D2C", "=2C"),
            ("\u2168", "IX"),
            ("alice@example.org", "alice@example.org"),
            ("x" * MAX_FIELD_OCTETS, "x" * MAX_FIELD_OCTETS),
        ):
            wanted = self.wanted(server().step(f"n,a={written},n={written},r=abc".encode()))
            self.assertEqual((wanted.name, wanted.authorization), (name, name))

    def test_nonce_length(self) -> None:
        """A nonce may have so many characters, and not one more."""
        longest = b"n" * MAX_NONCE_CHARACTERS
        self.wanted(server().step(b"n,,n=alice,r=" + longest))
        self.assertIsInstance(server().step(b"n,,n=alice,r=" + longest + b"n"), Malformed)

    def test_optional_extensions(self) -> None:
        """Extensions that need not be understood are passed over (RFC 5802 5.1), and are part of what is proved."""
        scram = server()
        wanted = self.wanted(scram.step(FIRST + b",x=1,Y=a=b"))
        nonce = wanted.proceed(ServerPart(KEYS, NONCE)).octets.split(b",")[0]
        judged = scram.step(b"c=biws," + nonce + b",z=1,p=" + b64encode(bytes(32)))
        self.assertEqual(judged, Proof(SCRAM, "alice", False))

    def test_malformed_first(self) -> None:
        """Whatever the grammar does not allow is refused."""
        for response in (
            b"",
            b"n",
            b"n,,",
            b"n,n=alice,r=abc",
            b"x,,n=alice,r=abc",
            b"N,,n=alice,r=abc",
            b"p=,,n=alice,r=abc",
            b"n,a=,n=alice,r=abc",
            b"n,alice,n=alice,r=abc",
            b"n,,n=,r=abc",
            b"n,,n=alice",
            b"n,,n=alice,r=",
            b"n,,r=abc,n=alice",
            b"n,,n=al=2cice,r=abc",
            b"n,,n=al=ice,r=abc",
            b"n,,n=al\0ice,r=abc",
            b"n,,n=al\x07ice,r=abc",
            b"n,a=\x07,n=alice,r=abc",
            b"n,,n=alice,r=a c",
            b"n,,n=alice,r=\xc3\xa9",
            b"n,,n=\xff,r=abc",
            b"n,,n=\xc2\xad,r=abc",
            b"n,,n=" + b"x" * (MAX_FIELD_OCTETS + 1) + b",r=abc",
            b"n,,n=" + b"=2C" * (MAX_FIELD_OCTETS + 1) + b",r=abc",
            b"n,,n=alice,r=abc,",
            b"n,,n=alice,r=abc,1=x",
            b"n,,n=alice,r=abc,x=",
            b"n,,n=alice,r=abc\n",
        ):
            self.assertIsInstance(server().step(response), Malformed, response)

    def test_mandatory_extension(self) -> None:
        """m= must be understood, and nothing is: the exchange ends (RFC 5802 5.1)."""
        self.assertIsInstance(server().step(b"n,,m=x,n=alice,r=abc"), Malformed)

    def test_malformed_final(self) -> None:
        """The final message has channel binding, our nonce and a proof of 32 octets, in this order."""
        proof = b64encode(bytes(32))
        nonce = b"abc" + NONCE.encode()
        for response in (
            b"",
            b"\xff",
            b"c=biws,r=" + nonce,
            b"c=biws,r=" + nonce + b",p=",
            b"c=biws,r=" + nonce + b",p=" + b64encode(bytes(31)),
            b"c=biws,r=" + nonce + b",p=" + b64encode(bytes(33)),
            b"c=biws,r=" + nonce + b",p=" + proof[:-1],
            b"c=biws,r=" + nonce + b",p=" + proof + b",x=1",
            b"c=biws,r=" + nonce + b"x,p=" + proof,
            b"c=biws,r=abc,p=" + proof,
            b"c=bi-s,r=" + nonce + b",p=" + proof,
            b"r=" + nonce + b",c=biws,p=" + proof,
            b"c=biws,p=" + proof,
        ):
            scram = server()
            self.wanted(scram.step(FIRST)).proceed(ServerPart(KEYS, NONCE))
            self.assertIsInstance(scram.step(response), Malformed, response)

    def test_nothing_is_shown(self) -> None:
        """An event that ends up in a log tells the name and nothing else."""
        part = ServerPart(KEYS, NONCE)
        self.assertNotIn(b64encode(KEYS.stored_key).decode(), repr(part))
        wanted = self.wanted(server().step(FIRST))
        self.assertEqual(
            repr(wanted), "KeysWanted(mechanism='SCRAM-SHA-256', name='alice', authorization='', binding='')"
        )


class AnythingTests(SynchronousTestCase):
    """Whatever a peer sends."""

    @given(st.lists(st.binary(max_size=60), min_size=1, max_size=4))
    def test_any_octets(self, responses: list[bytes]) -> None:
        """No octets make a mechanism raise, and none prove anything."""
        scram = server()
        for response in responses:
            step = scram.step(response)
            if isinstance(step, KeysWanted):
                step.proceed(ServerPart(KEYS, NONCE))
            elif isinstance(step, Malformed | Proof):
                self.assertFalse(isinstance(step, Proof) and step.matches)
                return

    @given(st.text("npya=,r\x00\u00e9=2C", max_size=30))
    def test_almost_a_message(self, text: str) -> None:
        """The same for what is made of the pieces of a message."""
        self.assertIsInstance(server().step(text.encode("utf-8")), Malformed | KeysWanted)

    @settings(max_examples=25, deadline=None)
    @given(
        st.text("abc=,é ", min_size=1, max_size=20).filter(str.strip),
        st.text("abcdefé", min_size=1, max_size=10),
        st.text("abcdefé", min_size=1, max_size=10),
    )
    def test_only_the_password(self, name: str, password: str, tried: str) -> None:
        """The proof of one's own password matches, any other does not, whoever it is."""
        written = name.replace("=", "=3D").replace(",", "=2C")
        client, scram = ScramClient(written, tried, nonce="abc"), server()
        wanted = scram.step(client.first())
        assert isinstance(wanted, KeysWanted), wanted
        self.assertEqual(wanted.name, name)
        step = scram.step(client.final(wanted.proceed(ServerPart(quick_keys(password), NONCE)).octets))
        self.assertEqual(isinstance(step, Prompt), tried == password)

    @given(st.integers(0, 31), st.integers(1, 255))
    def test_every_bit_of_the_proof(self, place: int, change: int) -> None:
        """A proof that differs anywhere is wrong."""
        client, scram = ScramClient(), server()
        wanted = scram.step(client.first())
        assert isinstance(wanted, KeysWanted)
        head, _, proof = client.final(wanted.proceed(ServerPart(KEYS, NONCE)).octets).rpartition(b",p=")
        octets = bytearray(b64decode(proof))
        octets[place] ^= change
        self.assertEqual(scram.step(head + b",p=" + b64encode(octets)), Proof(SCRAM, "alice", False))


class OfferTests(SynchronousTestCase):
    """:mod:`hermes.protocols.sasl_mechanisms`."""

    def test_order(self) -> None:
        """The best comes first, and -PLUS only under TLS; what does not exist is not offered."""
        names = (*WITH_KEYS, "NONSENSE", *WITH_PASSWORD)
        self.assertEqual(usable(names, tls=True), ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"])
        self.assertEqual(usable(names, tls=False), ["SCRAM-SHA-256", "PLAIN", "LOGIN"])

    def test_downgrade_depends_on_the_offer(self) -> None:
        """Whether -PLUS was offered decides what a client may claim."""
        self.assertIsInstance(begin(SCRAM, [SCRAM, SCRAM_PLUS]).step(b"y,,n=a,r=b"), Malformed)
        self.assertIsInstance(begin(SCRAM, [SCRAM]).step(b"y,,n=a,r=b"), KeysWanted)
        self.assertIsInstance(begin(SCRAM_PLUS, [SCRAM, SCRAM_PLUS]).step(b"p=tls-exporter,,n=a,r=b"), KeysWanted)
