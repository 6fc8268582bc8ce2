"""Active Directory's own answers: why it refuses, a part of a large group, references; the texts are those of Samba."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from hermes.app.at_once import AtOnce
from hermes.app.ldap import ldap_source
from hermes.config.sections.ldap import LDAPSettings
from hermes.core.account import Account
from hermes.directory.accounts import Record
from hermes.directory.ldap.questions import NOTHING, Kind, Question
from hermes.directory.ldap.servers import MAX_TEXT
from hermes.directory.ldap.source import MAX_TOLD
from hermes.interfaces import UnavailableError
from tests.support.scripted_ldap import BIND, MODIFY, SEARCH, ScriptedLDAP, entry, reference, result, text

REMEMBER = 60
BASE = "DC=ad,DC=example,DC=org"
JOE = Record(Account("joe", ("joe@example.org",)), key=f"CN=Joe,{BASE}")

#: The letter that is not ASCII has no octet above 0x7F in UTF-16: of one that has, pyasn1 complains (-bb).
OLD, NEW = "Correct.horse7", 'New "hŁrse" 8'

#: What Samba 4.17 says of a bind.
REFUSED = "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data {}, v1db1"

TOO_SIMPLE = "0000052D: Constraint violation - check_password_restrictions: the password does not meet the criteria!"
WRONG_OLD = "00000056: Constraint violation - check_password_restrictions: The old password specified doesn't match!"


class DomainControllerTests(SynchronousTestCase):
    """A source and one server, which says what stands in ``results``, and has the entries in ``here``."""

    def setUp(self) -> None:
        """It takes everything."""
        self.results: dict[int, tuple[int, str]] = {}
        self.here: list[bytes] = []
        self.server = ScriptedLDAP(self.answer)
        self.addCleanup(self.server.close)
        self.clock = Clock()
        settings = LDAPSettings(
            servers=(self.server.url,), profile="ad", starttls=False, base=BASE, remember=REMEMBER, grace=0
        )
        self.source = ldap_source("acme", settings, lambda _, __: [AtOnce()], self.clock.seconds, lambda: 0.0)
        self.addCleanup(lambda: self.done(self.source.stop()))

    def answer(self, request: int, body: bytes) -> Sequence[bytes]:
        """The server's."""
        before = self.here if request == SEARCH else []
        # The bind as nobody comes before every search.
        code, said = self.results.get(request, (0, "")) if request != BIND or b"CN=" in body else (0, "")
        return [*before, result(request, code, said)]

    def done(self, waiting: Any) -> Any:
        """What has come of it."""
        return self.successResultOf(Deferred.fromCoroutine(waiting))

    def told(self, waiting: Any) -> tuple[Any, list[str]]:
        """What has come of it, and what the log says."""
        with capturedLogs() as events:
            outcome = self.done(waiting)
        return outcome, [formatEvent(event) for event in events]

    def refuse(self, text: str) -> None:
        """Let every bind be refused with that text."""
        self.results[BIND] = (49, text)

    def test_refused_logins(self) -> None:
        """The log says why an account that has the right password may not log in; a wrong one is none of its business."""
        for data, words in (
            ("530", "at this hour"),
            ("531", "from this machine"),
            ("532", "password has expired"),
            ("533", "is disabled"),
            ("701", "it has expired"),
            ("773", "must be changed first"),
            ("775", "is locked"),
        ):
            self.refuse(REFUSED.format(data) + "\0")
            right, said = self.told(self.source.proves(JOE, OLD))
            self.assertFalse(right)
            (line,) = said
            self.assertTrue(line.startswith(f"[ldap:acme] {JOE.key} may not log in: "), line)
            self.assertIn(words, line)
        for other in (REFUSED.format("52e"), REFUSED.format("525"), "Password incorrect", ""):
            self.refuse(other)
            self.assertEqual(self.told(self.source.proves(JOE, OLD)), (False, []))
        del self.results[BIND]
        self.assertEqual(self.told(self.source.proves(JOE, OLD)), (True, []))

    def test_told_once(self) -> None:
        """Somebody who goes on trying is named once for as long as an answer holds."""
        self.refuse(REFUSED.format("775"))
        for advanced, lines in ((0, 1), (0, 0), (REMEMBER - 1, 0), (1, 1), (0, 0)):
            self.clock.advance(advanced)
            self.assertEqual(len(self.told(self.source.proves(JOE, OLD))[1]), lines)

    def test_told_of_many(self) -> None:
        """What was told is remembered of so many, and forgotten of the first when there is one more."""
        self.refuse(REFUSED.format("775"))
        people = [Record(JOE.account, key=f"CN=A{number},{BASE}") for number in range(MAX_TOLD + 1)]
        for each in people[:MAX_TOLD]:
            self.done(self.source.proves(each, OLD))
        self.assertEqual(self.told(self.source.proves(people[0], OLD))[1], [])
        self.assertEqual(len(self.told(self.source.proves(people[-1], OLD))[1]), 1)
        self.assertEqual(self.told(self.source.proves(people[1], OLD))[1], [])
        self.assertEqual(len(self.told(self.source.proves(people[0], OLD))[1]), 1)

    def test_change(self) -> None:
        """The old password is taken from unicodePwd and the new one added, in quotes and UTF-16 (MS-ADTS 3.1.1.3.1.5)."""
        self.assertEqual(self.told(self.source.change(JOE, OLD, NEW)), ("", []))
        (body,) = (body for tag, body in self.server.asked if tag == MODIFY)
        before, old, new = (body.find(text(f'"{each}"'.encode("utf-16-le"))) for each in ("", OLD, NEW))
        self.assertEqual(before, -1)
        self.assertTrue(0 < old < new)

    def test_refused_changes(self) -> None:
        """The person hears what could be done about it, the log the server's words."""
        for said, words in (
            (TOO_SIMPLE, "too short, too simple"),
            (TOO_SIMPLE.lower(), "too short, too simple"),
            (WRONG_OLD, "old password is no longer"),
            ("something else", "does not accept"),
        ):
            self.results[MODIFY] = (19, said)
            problem, lines = self.told(self.source.change(JOE, OLD, NEW))
            self.assertIn(words, problem)
            self.assertEqual(lines, [f"[ldap:acme] a new password of {JOE.key} is refused: {said}"])

    def test_no_password_in_the_log(self) -> None:
        """Nothing is written when the server says nothing, or repeats a password."""
        for said in ("", f"{NEW} is in a dictionary", f"it is like {OLD}"):
            self.results[MODIFY] = (19, said)
            problem, lines = self.told(self.source.change(JOE, OLD, NEW))
            self.assertEqual((problem, lines), ("The directory does not accept this password", []))

    def test_old_password_of_a_change(self) -> None:
        """An old password that opens nothing changes nothing."""
        self.refuse(REFUSED.format("52e"))
        self.assertIn("does not accept", self.done(self.source.change(JOE, OLD, NEW)))
        self.assertNotIn(MODIFY, [tag for tag, _ in self.server.asked])

    def test_change_that_fails(self) -> None:
        """Any other result is trouble, with the server's words."""
        self.results[MODIFY] = (80, "00002035: Operation error")
        problem = self.trouble(self.source.change(JOE, OLD, NEW))
        self.assertTrue(problem.endswith("result 80 of RFC 4511 (00002035: Operation error)"), problem)

    def test_part_of_a_group(self) -> None:
        """
        Of a group with more than 1500 members the server gives so many, under a name with their range (MS-ADTS 3.1.1.3.1.3.3).

        That is a group with too many; the rest is not asked for.
        """
        members = [f"CN=P{number},{BASE}" for number in range(1500)]
        values = {"objectClass": ["top", "group"], "mail": ["all@example.org"], "member;range=0-1499": members}
        # Windows gives the plain name as well, without a value.
        for more in ({}, {"member": []}):
            self.clock.advance(REMEMBER)
            self.server.asked.clear()
            self.here = [entry(f"CN=all,{BASE}", {**values, **more}), reference(f"ldaps://ad.example.org/CN=x,{BASE}")]
            problem = self.trouble(self.source.answer(Question(Kind.ADDRESS, "all@example.org")))
            self.assertIn("more than 500 members", problem)
            self.assertEqual([tag for tag, _ in self.server.asked if tag == SEARCH], [SEARCH])

    def test_references(self) -> None:
        """A search from the root of a domain ends in references to other partitions, where nobody is asked."""
        joe = entry(f"CN=Joe,{BASE}", {"objectClass": ["user"], "sAMAccountName": ["joe"], "mail": ["joe@example.org"]})
        self.here = [
            joe,
            *(reference(f"ldaps://ad.example.org/CN={name},{BASE}") for name in ("Configuration", "Schema")),
        ]
        answer = self.done(self.source.answer(Question(Kind.ADDRESS, "joe@example.org")))
        self.assertEqual(answer.record.account.name, "joe")
        self.here = self.here[1:]
        self.assertEqual(self.done(self.source.answer(Question(Kind.ADDRESS, "ann@example.org"))), NOTHING)

    def test_address_to_write_from(self) -> None:
        """The primary one of proxyAddresses has its prefix in capitals, wherever it stands; that of mail comes before it."""
        proxies = ["smtp:j.doe@example.org", "sip:joe@example.org", "SMTP:joe@example.org", "smtp:boss@example.org"]
        values = {"objectClass": ["user"], "sAMAccountName": ["joe"], "proxyAddresses": proxies}
        ours = ("joe@example.org", "j.doe@example.org", "boss@example.org")
        for number, (mail, expected) in enumerate((([], ours), (["j.doe@example.org"], (ours[1], ours[0], ours[2])))):
            self.clock.advance(REMEMBER)
            self.here = [entry(f"CN=Joe{number},{BASE}", {**values, "mail": mail})]
            record = self.done(self.source.answer(Question(Kind.NAME, "joe"))).record
            self.assertEqual(record.account.addresses, expected)

    def test_words_of_the_server(self) -> None:
        """What cannot be answered is told with the server's text, on one line and not longer than it may be."""
        for number, (said, shown) in enumerate((
            ("00002020: Operation unavailable without authentication\n\0", "00002020: Operation unavailable without "
             "authentication"),
            ("x" * MAX_TEXT, "x" * MAX_TEXT),
            ("x" * (MAX_TEXT + 1), "x" * MAX_TEXT),
        )):  # fmt: skip
            self.results[SEARCH] = (1, said)
            problem = self.trouble(self.source.answer(Question(Kind.NAME, f"joe{number}")))
            self.assertEqual(problem, f"the directory cannot answer a question: result 1 of RFC 4511 ({shown})")

    def test_answers_again(self) -> None:
        """That the directory answers again is told when it has, and not for what was clear without asking it."""
        self.done(self.source.answer(Question(Kind.NAME, "joe")))
        self.results[SEARCH] = (52, "")
        self.clock.advance(REMEMBER)
        self.trouble(self.source.answer(Question(Kind.NAME, "joe")))
        for question in (Question(Kind.FORM, "joe"), Question(Kind.NAME, "x" * 1000)):
            self.assertEqual(self.told(self.source.answer(question)), (NOTHING, []))

    def trouble(self, waiting: Any) -> str:
        """It cannot be told now; why."""
        return str(self.failureResultOf(Deferred.fromCoroutine(waiting), UnavailableError).value)
