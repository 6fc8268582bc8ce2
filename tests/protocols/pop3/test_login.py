"""USER and PASS (RFC 1939 7), AUTH (RFC 5034), and who may not (RFC 2595 2.3)."""

from __future__ import annotations

from base64 import b64encode

from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.pop3.events import Answered, Refused, refused
from hermes.protocols.pop3.parameters import MAX_SASL_OCTETS
from hermes.protocols.sasl import Credentials
from tests.support.pop3_engine import Conversation, in_every_cut


def plain(name: str, password: str, authorization: str = "") -> str:
    """The response of PLAIN in base64."""
    return b64encode(f"{authorization}\0{name}\0{password}".encode()).decode()


class UserPassTests(SynchronousTestCase):
    """The login of RFC 1939."""

    def credentials(self, *lines: str) -> Credentials | None:
        """What the lines lead to; the same however they are cut."""
        heard = []
        for conversation in in_every_cut():
            found = conversation.client("".join(line + "\r\n" for line in lines).encode())
            heard.append(next((event for event in found if isinstance(event, Credentials)), None))
        self.assertEqual(heard[0], heard[1])
        self.assertEqual(heard[0], heard[2])
        return heard[0]

    def test_login(self) -> None:
        """A name, then a password."""
        self.assertEqual(self.credentials("USER ada", "PASS secret"), Credentials("USER", "ada", "secret"))

    def test_every_name_is_accepted(self) -> None:
        """USER is answered alike for every name, so that nobody learns who has a mailbox."""
        self.assertEqual(Conversation().says("USER ada"), Conversation().says("USER nobody"))

    def test_spaces_in_the_password(self) -> None:
        """PASS takes the rest of the line: spaces inside, at the front and at the end belong to the password."""
        for password in ("correct horse battery", " front", "end ", "  ", "a  b"):
            self.assertEqual(self.credentials("USER ada", f"PASS {password}"), Credentials("USER", "ada", password))

    def test_spaces_around_the_name(self) -> None:
        """Spaces around a name do not belong to it, those inside do."""
        self.assertEqual(self.credentials("USER  ada ", "PASS x"), Credentials("USER", "ada", "x"))
        self.assertEqual(self.credentials("USER ada lovelace", "PASS x"), Credentials("USER", "ada lovelace", "x"))

    def test_missing(self) -> None:
        """A name or a password that is missing is refused."""
        self.assertIsNone(self.credentials("USER", "PASS secret"))
        self.assertIsNone(self.credentials("USER  ", "PASS secret"))
        self.assertIsNone(self.credentials("USER ada", "PASS"))
        self.assertIsNone(self.credentials("USER ada", "PASS "))

    def test_pass_follows_user_at_once(self) -> None:
        """PASS comes immediately after a successful USER; whatever is between, the name is forgotten (RFC 1939 7)."""
        self.assertIsNone(self.credentials("PASS secret"))
        for between in ("CAPA", "LANG", "BOGUS", "USER", "AUTH", "x" * 300, "PASS"):
            self.assertIsNone(self.credentials("USER ada", between, "PASS secret"), between)

    def test_name_is_good_for_one_password(self) -> None:
        """After a wrong password the name has to be given again."""
        conversation = Conversation()
        conversation.answers = lambda event: refused("no", "AUTH")
        heard = conversation.client(b"USER ada\r\nPASS wrong\r\nPASS secret\r\nUSER ada\r\nPASS secret\r\n")
        self.assertEqual(len([event for event in heard if isinstance(event, Credentials)]), 2)
        self.assertIsInstance(heard[2], Refused)

    def test_last_name_counts(self) -> None:
        """A second USER replaces the first."""
        self.assertEqual(self.credentials("USER eve", "USER ada", "PASS x"), Credentials("USER", "ada", "x"))

    def test_utf8(self) -> None:
        """Names and passwords may be UTF-8, with or without UTF8 before, and are prepared (RFC 6856 2.2)."""
        expected = Credentials("USER", "jos\u00e9", "gr\u00fc\u00df")
        self.assertEqual(self.credentials("USER jose\u0301", "PASS gru\u0308\u00df"), expected)
        self.assertEqual(self.credentials("UTF8", "USER jos\u00e9", "PASS gr\u00fc\u00df"), expected)

    def test_not_utf8(self) -> None:
        """What is not UTF-8, or holds what must not be in a name, is refused, and the session goes on."""
        for line in (b"USER \xff", b"USER a\xc3", b"USER a\xe2\x80\x8e", b"USER a\xc2\x85"):
            conversation = Conversation()
            (event,) = conversation.client(line + b"\r\n")
            self.assertIsInstance(event, Refused, line)
            self.assertEqual(conversation.says("USER ada"), b"+OK send PASS\r\n")

    def test_apop(self) -> None:
        """APOP is refused: it needs the password itself, and only its digest is kept."""
        (event,) = Conversation().client(b"APOP ada c4c9334bac560ecc979e58001b3e22fb\r\n")
        assert isinstance(event, Refused)
        self.assertEqual(event.rule, "auth.mechanism")


class ClearLoginTests(SynchronousTestCase):
    """Without TLS."""

    def test_refused(self) -> None:
        """USER, PASS and AUTH are refused with the code AUTH and the way out (RFC 2595 2.3, RFC 3206)."""
        for line in ("USER ada", "PASS secret", "AUTH PLAIN", "AUTH", f"AUTH PLAIN {plain('ada', 'secret')}"):
            conversation = Conversation(tls=False, stls=True)
            (event,) = conversation.client(line.encode() + b"\r\n")
            assert isinstance(event, Refused), line
            self.assertEqual(event.rule, "auth.clear", line)
            self.assertTrue(conversation.sent.startswith(b"-ERR [AUTH] "), line)
            self.assertIn(b"STLS", conversation.sent)

    def test_allowed(self) -> None:
        """Where it is allowed, it works."""
        conversation = Conversation(tls=False, login_in_clear=True)
        heard = conversation.client(b"USER ada\r\nPASS secret\r\n")
        self.assertEqual(heard[-1], Credentials("USER", "ada", "secret"))

    def test_after_stls(self) -> None:
        """After STLS it works."""
        conversation = Conversation(tls=False, stls=True)
        conversation.client(b"STLS\r\n")
        conversation.engine.tls_started()
        self.assertEqual(conversation.client(b"USER ada\r\nPASS x\r\n")[-1], Credentials("USER", "ada", "x"))


class AuthTests(SynchronousTestCase):
    """AUTH, with PLAIN and LOGIN."""

    def test_initial_response(self) -> None:
        """PLAIN with its initial response is over at once, whatever the case of the mechanism."""
        for conversation in in_every_cut():
            heard = conversation.client(f"AUTH plain {plain('ada', 'secret')}\r\n".encode())
            self.assertEqual(heard, [Credentials("PLAIN", "ada", "secret")])

    def test_challenge(self) -> None:
        """Without an initial response an empty challenge asks for it: a plus and a space (RFC 5034 4)."""
        for conversation in in_every_cut():
            self.assertEqual(conversation.client(b"AUTH PLAIN\r\n"), [Answered(b"+ \r\n")])
            heard = conversation.client(plain("ada", "secret", "ada").encode() + b"\r\nSTAT\r\n")
            self.assertEqual(heard[0], Credentials("PLAIN", "ada", "secret", "ada"))

    def test_login_mechanism(self) -> None:
        """LOGIN asks for name and password."""
        for conversation in in_every_cut():
            self.assertEqual(conversation.client(b"AUTH LOGIN\r\n"), [Answered(b"+ VXNlcm5hbWU6\r\n")])
            self.assertEqual(conversation.client(b"YWRh\r\n"), [Answered(b"+ UGFzc3dvcmQ6\r\n")])
            self.assertEqual(conversation.client(b"c2VjcmV0\r\n"), [Credentials("LOGIN", "ada", "secret")])

    def test_empty_initial_response(self) -> None:
        """An equals sign is an initial response that is empty, and PLAIN has no use for one."""
        (event,) = Conversation().client(b"AUTH PLAIN =\r\n")
        assert isinstance(event, Refused)
        self.assertEqual(event.rule, "auth.malformed")

    def test_cancelled(self) -> None:
        """A star calls the exchange off, and the session goes on (RFC 5034 4)."""
        for conversation in in_every_cut():
            heard = conversation.client(b"AUTH PLAIN\r\n*\r\nUSER ada\r\nPASS secret\r\n")
            assert isinstance(heard[1], Refused)
            self.assertEqual(heard[1].rule, "auth.canceled")
            self.assertEqual(heard[-1], Credentials("USER", "ada", "secret"))

    def test_not_base64(self) -> None:
        """What is not base64 is refused, in both places, and ends the exchange."""
        for text in ("!", "YWRh=", "YWR", "\u00e9", "AGFkYQBz ZWNyZXQ="):
            conversation = Conversation()
            self.assertTrue(conversation.says(f"AUTH PLAIN {text}").startswith(b"-ERR"), text)
            self.assertTrue(conversation.says("AUTH PLAIN", text).startswith(b"+ \r\n-ERR"), text)
            self.assertEqual(conversation.says("USER ada"), b"+OK send PASS\r\n")

    def test_malformed_response(self) -> None:
        """A response that is not what PLAIN wants is refused and ends the exchange."""
        for octets in (b"", b"ada\0secret", b"\0ada\0", b"\0\0x", b"\0a\0b\0c", b"\0\xff\0x"):
            conversation = Conversation()
            reply = conversation.says("AUTH PLAIN", b64encode(octets).decode())
            self.assertTrue(reply.startswith(b"+ \r\n-ERR "), octets)
            self.assertEqual(conversation.says("USER ada"), b"+OK send PASS\r\n")

    def test_prepared(self) -> None:
        """Names and passwords of AUTH are prepared like those of USER and PASS; what cannot be is refused."""
        response = plain("jose\u0301", "e\u0301", "jose\u0301")
        (event,) = Conversation().client(f"AUTH PLAIN {response}\r\n".encode())
        self.assertEqual(event, Credentials("PLAIN", "jos\u00e9", "\u00e9", "jos\u00e9"))
        response = plain("a\u200e", "x")
        self.assertTrue(Conversation().says(f"AUTH PLAIN {response}").startswith(b"-ERR"))

    def test_mechanism_not_offered(self) -> None:
        """A mechanism that is not offered is refused at once."""
        for line in ("AUTH CRAM-MD5", "AUTH GSSAPI abc", "AUTH \u00e9", "AUTH *"):
            (event,) = Conversation().client(line.encode() + b"\r\n")
            assert isinstance(event, Refused)
            self.assertEqual(event.rule, "auth.mechanism", line)
        (event,) = Conversation(mechanisms=("PLAIN",)).client(b"AUTH LOGIN\r\n")
        self.assertIsInstance(event, Refused)

    def test_too_many_words(self) -> None:
        """AUTH has two words at most."""
        self.assertTrue(Conversation().says("AUTH PLAIN a b").startswith(b"-ERR"))

    def test_bare_auth(self) -> None:
        """AUTH alone lists the mechanisms, as old mail programs expect."""
        self.assertEqual(Conversation().says("AUTH"), b"+OK mechanisms follow\r\nPLAIN\r\nLOGIN\r\n.\r\n")

    def test_longest_response(self) -> None:
        """A response of 12288 octets with its CRLF is looked at; a longer one is refused and ends the exchange."""
        for conversation in in_every_cut():
            for octets, rule in (
                (MAX_SASL_OCTETS - 2, "auth.malformed"),
                (MAX_SASL_OCTETS, "command.malformed"),
                (MAX_SASL_OCTETS + 1, "command.too_long"),
            ):
                heard = conversation.client(b"AUTH PLAIN\r\n" + b"A" * (octets - 2) + b"\r\n")
                assert isinstance(heard[1], Refused)
                self.assertEqual(heard[1].rule, rule, octets)
            self.assertEqual(conversation.client(b"USER ada\r\n"), [Answered(b"+OK send PASS\r\n")])
