"""Changing a password: the rule, and what is stored."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.account import Account
from hermes.directory.accounts import table_of
from hermes.directory.password_change import PasswordChange, PasswordRule
from tests.support.accounts import QUICK, MemorySource, passwords_with, record

RULE = PasswordRule(min_length=10, min_different=5)
OLD, NEW = "the old password", "correct horse battery"


class RuleTests(SynchronousTestCase):
    """What people may choose."""

    def test_good(self) -> None:
        """What has everything will do; so does the shortest, and the least varied."""
        for new in (NEW, "abcdeabcde", "pässwörter"):
            self.assertEqual(RULE.problem("joe", OLD, new), "", new)

    def test_bad(self) -> None:
        """Each part of the rule has words of its own, for the person."""
        for new, words in (
            ("abcdefghi", "at least 10 characters"),
            ("aaaabbbbccccdddd", "at least 5 different"),
            ("i am Joe, hear me", "name of the account"),
            (OLD, "is the old one"),
            ("abcdefghij\x07", "control characters"),
        ):
            self.assertIn(words, RULE.problem("joe", OLD, new))

    def test_length_on_the_wire(self) -> None:
        """What does not fit into PASS of POP3 would lock its owner out: 255 octets with the keyword and CRLF (RFC 2449 4)."""
        for new, fits in (
            ("abcdefgh" * 30 + "1234567", True),
            ("abcdefgh" * 30 + "12345678", True),
            ("abcdefgh" * 30 + "123456789", False),
            ("äbcdéf" * 30 + "abcdefgh", True),
            ("äbcdéf" * 30 + "abcdefghi", False),
        ):
            self.assertEqual(len(f"PASS {new}\r\n".encode()) <= 255, fits, new)
            self.assertEqual(RULE.problem("joe", OLD, new) == "", fits, new)
        self.assertIn("more than 248 octets", RULE.problem("joe", OLD, "äbcdéf" * 30 + "abcdefghi"))

    def test_not_a_password(self) -> None:
        """What SASLprep forbids (RFC 4013 2.3 and 2.4) or leaves nothing of (2.1) is refused with the reason."""
        for new, words in (
            ("\u0627abcdefghij", "cannot be mixed"),
            ("abcdefghij\ue000", "cannot be typed or seen"),
            ("\u00ad\u034f\u1806\u180b\u180c" * 2, "is empty"),
            # One letter that stands for eighteen (RFC 4013 2.2).
            ("\u0627\u0628\u062a\u062b" + "\ufdfa" * 70, "is longer than"),
        ):
            self.assertIn(words, RULE.problem("joe", OLD, new))
            self.assertTrue(RULE.problem("joe", OLD, new).startswith("The new password cannot be taken: "))

    def test_short_names(self) -> None:
        """A name of two letters is in too many words to be looked for."""
        self.assertEqual(RULE.problem("jo", OLD, "johannisbeere"), "")


class ChangeTests(SynchronousTestCase):
    """What is stored."""

    def setUp(self) -> None:
        """One account with a password, and one that is disabled."""
        self.source = MemorySource(record("joe", password=OLD), record("ann", password=OLD, disabled=True))

    def change(self, name: str = "joe", new: str = NEW, *, makes_scram: bool = False) -> str:
        """Change a password."""
        changing = PasswordChange(self.source, passwords_with(), RULE, makes_scram=makes_scram)
        return self.successResultOf(Deferred.fromCoroutine(changing.change(Account(name, ()), OLD, new)))

    def test_changed(self) -> None:
        """The hash of the new one takes the place of the one that was in force."""
        before = self.source.table.by_name["joe"].password_hash
        self.assertEqual(self.change(), "")
        ((name, password_hash, instead_of),) = self.source.changed
        self.assertEqual((name, instead_of), ("joe", before))
        self.assertTrue(QUICK.verify(password_hash, NEW))
        self.assertEqual(self.source.scram, [""])

    def test_scram(self) -> None:
        """Where keys for SCRAM are kept they are made with it."""
        self.change(makes_scram=True)
        self.assertTrue(self.source.scram[0].startswith("SCRAM-SHA-256$"))

    def test_refused(self) -> None:
        """What the rule refuses changes nothing, and neither does an account that is gone or disabled."""
        self.assertIn("at least 10", self.change(new="short"))
        self.assertIn("cannot be changed", self.change("ann"))
        self.assertIn("cannot be changed", self.change("nobody"))
        self.assertEqual(self.source.changed, [])

    def test_old_one(self) -> None:
        """Who proved a password that has been changed since knows an old one, and changes nothing."""
        self.source.table = table_of([record("joe", password="chosen by the owner")])
        self.assertIn("somebody else", self.change())
        self.assertEqual(self.source.changed, [])

    def test_meanwhile(self) -> None:
        """When somebody else was quicker, that password counts, and it is said."""

        async def refuse(*arguments: object, **more: object) -> bool:
            return False

        self.source.change_password = refuse  # type: ignore[method-assign]
        self.assertIn("somebody else", self.change())
