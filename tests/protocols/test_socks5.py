"""A client of SOCKS5 proxies (RFC 1928, 1929)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.socks5 import SocksClient


def client(address: str = "192.0.2.1", username: str = "", password: str = "") -> SocksClient:
    """One that wants port 25."""
    return SocksClient(address, 25, username, password)


class SocksTests(SynchronousTestCase):
    """Octet by octet as the standards have it."""

    def test_connect(self) -> None:
        """Without a login, to an address of IPv4; what comes behind the answer is the other server's."""
        one = client()
        self.assertEqual(one.data_to_send(), b"\x05\x01\x00")
        one.receive(b"\x05\x00")
        self.assertEqual(one.data_to_send(), b"\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x19")
        one.receive(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00220 mx")
        self.assertEqual((one.done, one.problem, one.rest), (True, "", b"220 mx"))

    def test_pieces(self) -> None:
        """However it is cut; the proxy may name its own address in any of three ways; IPv6."""
        for bound in (b"\x01" + bytes(6), b"\x04" + bytes(18), b"\x03\x04host\x00\x00"):
            one = client("2001:db8::1", "me", "secret")
            self.assertEqual(one.data_to_send(), b"\x05\x02\x00\x02")
            sent = b""
            for octet in b"\x05\x02" + b"\x01\x00" + b"\x05\x00\x00" + bound:
                self.assertFalse(one.done)
                one.receive(bytes((octet,)))
                sent += one.data_to_send()
            self.assertTrue(one.done)
            self.assertEqual(sent[:11], b"\x01\x02me\x06secret")
            self.assertEqual(sent[11:15], b"\x05\x01\x00\x04")
            self.assertEqual(len(sent), 11 + 4 + 16 + 2)

    def test_problems(self) -> None:
        """What a proxy refuses, and what makes no sense."""
        for answers, words in (
            (b"HTTP/1.1 400", "does not speak SOCKS5"),
            (b"\x05\xff", "another kind of login"),
            (b"\x05\x01", "another kind of login"),
            (b"\x05\x02\x01\x01", "refuses the login"),
            (b"\x05\x00\x05\x05\x00\x01\x00", "the connection was refused"),
            (b"\x05\x00\x05\x09\x00\x01\x00", "error 9"),
            (b"\x05\x00\x04\x00\x00\x01\x00", "does not speak SOCKS5"),
            (b"\x05\x00\x05\x00\x00\x07\x00", "makes no sense"),
        ):
            one = client(username="me", password="x")
            one.receive(answers)
            self.assertIn(words, one.problem, repr(answers))
            self.assertFalse(one.done)
        one = client()
        one.receive(b"\x05\x02")
        self.assertIn("wants a login", one.problem)

    @given(st.binary(max_size=600))
    def test_anything(self, octets: bytes) -> None:
        """Whatever comes: a connection, a problem, or not enough yet; never both."""
        one = client(username="me", password="x")
        one.receive(octets)
        self.assertFalse(one.done and one.problem)
