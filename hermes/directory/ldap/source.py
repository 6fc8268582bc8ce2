"""
Accounts in a directory service: what it was asked is remembered for a short time, and a little longer when it is down.

Only what was found is remembered longer: while no server answers, an address that nobody has is one that nobody knows about.
Passwords are never remembered. Each is proved by a bind, so that what the directory says of an account holds at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from hermes.core.address import split
from hermes.directory.accounts import AccountTable, Group, Record
from hermes.directory.ldap.book import LDAPBook
from hermes.directory.ldap.entries import Terms
from hermes.directory.ldap.questions import NOTHING, Answer, Asking, Kind, Question
from hermes.directory.ldap.threads import Threads
from hermes.directory.ldap.windows import refused_login, refused_password
from hermes.directory.passwords import encode_password
from hermes.interfaces import TooBusyError, UnavailableError

#: Answers that are remembered, at a kilobyte or so each, of those who were found and as many others: more addresses than are
#: written to within a minute.
MAX_REMEMBERED = 10_000

#: Questions that may wait: with four connections and a few milliseconds each the last is answered within a second, and
#: when the servers hang, those who wait are told to come back before they are too many.
MAX_WAITING = 512

#: What the log was told last of refused people, at some 300 octets each: those of a bad morning in a large house.
MAX_TOLD = 1000

#: An entry that is nobody's, for passwords of names that do not exist.
_NOBODY = "cn=nobody"


@attrs.frozen
class _Remembered:
    answer: Answer
    at: float


class LDAPSource:
    """
    One ``[ldap:NAME]``. ``threads`` ask it and are stopped here, as is ``book``, by which strangers look its people up. ``now``
    gives seconds that only increase, ``wall`` those since the epoch.
    """

    _log = Logger()

    def __init__(
        self,
        terms: Terms,
        threads: Threads,
        book: LDAPBook,
        now: Callable[[], float],
        wall: Callable[[], float],
        *,
        remember_seconds: float,
        grace_seconds: float,
    ) -> None:
        self._terms = terms
        self._asking = Asking(terms, self, wall)
        self._threads = threads
        self.book = book
        self._now = now
        self._remember_seconds = remember_seconds
        self._grace_seconds = grace_seconds
        # What was found, and what was not: strangers can ask for any number of the latter, and shall push nobody out.
        self._found: OrderedDict[Question, _Remembered] = OrderedDict()
        self._missed: OrderedDict[Question, _Remembered] = OrderedDict()
        # What is being asked, and who waits for it: they are told whether there was an end to it.
        self._asked: dict[Question, list[Deferred[bool]]] = {}
        self._down = False
        self._told: OrderedDict[str, float] = OrderedDict()

    async def stop(self) -> None:
        """Take leave of the servers and end the threads."""
        await self._threads.stop()
        await self.book.stop()

    async def current(self) -> LDAPView:
        """What is known of it, to be asked one question."""
        return LDAPView(self)

    @property
    def windows_domains(self) -> frozenset[str]:
        """The names of the Windows domain that it is, in lower case; none when it is not."""
        return self._terms.windows_domains

    def known(self) -> AccountTable:
        """Nothing, without asking."""
        return AccountTable({}, {})

    def keepers(self) -> Sequence[LDAPSource]:
        """It checks the passwords of its accounts."""
        return (self,)

    async def change_password(
        self, name: str, password_hash: str, instead_of: str | None = None, scram: str = ""
    ) -> bool:
        """Hashes are the directory's own business."""
        return False

    async def proves(self, record: Record, password: str) -> bool:
        """Whether that password opens the account's entry."""
        octets = encode_password(password)
        said = await self._threads.do(lambda line: line.proves(record.key, octets))
        if not said.done and (why := refused_login(said.text)):
            self._tell(f"{record.key} may not log in: {why}")
        return said.done

    async def pretend(self, password: str) -> None:
        """Try a password on an entry that does not exist; not that one, which may be right where it belongs."""
        await self._threads.do(lambda line: line.proves(_NOBODY, b"nothing"))

    async def change(self, record: Record, old: str, new: str) -> str:
        """Have somebody change the own password."""
        octets = encode_password(old), encode_password(new)
        unicode_password = self._terms.profile.unicode_password
        said = await self._threads.do(lambda line: line.change(record.key, *octets, unicode_password=unicode_password))
        if said.done:
            return ""
        if said.text and old not in said.text and new not in said.text:
            # Whatever the directory writes, a password is for no log.
            self._tell(f"a new password of {record.key} is refused: {said.text}")
        return refused_password(said.text)

    def _tell(self, what: str) -> None:
        """Say it in the log, once for as long as an answer holds: whoever guesses passwords shall not fill the disk."""
        at = self._told.get(what)
        if at is not None and self._now() < at + self._remember_seconds:
            return
        self._told[what] = self._now()
        self._told.move_to_end(what)
        while len(self._told) > MAX_TOLD:
            self._told.popitem(last=False)
        self._log.info("[ldap:{name}] {what}", name=self._terms.name, what=what)

    async def answer(self, question: Question) -> Answer:
        """What the directory says, now or a moment ago; UnavailableError when it says nothing that could be used."""
        answer = await self._answer(question)
        if answer.problem:
            raise UnavailableError(answer.problem)
        return answer

    async def _answer(self, question: Question) -> Answer:
        remembered = self._remembered(question)
        if remembered is not None and self._now() < remembered.at + self._remember_seconds:
            return remembered.answer
        while (others := self._asked.get(question)) is not None:
            # Somebody has just asked the same: one question is enough, and each then looks at what came of it.
            waiting: Deferred[bool] = Deferred()
            others.append(waiting)
            if not await waiting:
                # Whoever asked has left before there was an answer: one of the others asks.
                continue
            if (fresh := self._remembered(question)) is not None and fresh is not remembered:
                return fresh.answer
            return self._in_grace(question, UnavailableError("no directory server answers"))
        self._asked[question] = []
        ended = True
        try:
            answer = await self._threads.do(lambda line: self._asking.answer(line, question))
        except CancelledError:
            ended = False
            raise
        except TooBusyError:
            raise UnavailableError("too many questions to the directory wait already") from None
        except UnavailableError as error:
            return self._in_grace(question, error)
        else:
            self._remember(question, answer)
            return answer
        finally:
            for waiting in self._asked.pop(question):
                if not waiting.called:
                    waiting.callback(ended)

    def _remember(self, question: Question, answer: Answer) -> None:
        if self._down and not answer.unasked:
            self._down = False
            self._log.info("[ldap:{name}] answers again", name=self._terms.name)
        if answer.problem:
            self._log.error("[ldap:{name}] {problem}", name=self._terms.name, problem=answer.problem)
        here, elsewhere = (self._found, self._missed) if answer.found else (self._missed, self._found)
        elsewhere.pop(question, None)
        here[question] = _Remembered(answer, self._now())
        here.move_to_end(question)
        while len(here) > MAX_REMEMBERED:
            here.popitem(last=False)

    def _remembered(self, question: Question) -> _Remembered | None:
        return self._found.get(question) or self._missed.get(question)

    def _in_grace(self, question: Question, error: UnavailableError) -> Answer:
        """What was found a while ago, as long as the grace lasts."""
        if not self._down:
            self._down = True
            self._log.error("[ldap:{name}] {error}", name=self._terms.name, error=error)
        remembered = self._found.get(question)
        limit = self._remember_seconds + self._grace_seconds
        if remembered is None or self._now() >= remembered.at + limit:
            raise UnavailableError(str(error))
        return remembered.answer


class LDAPView:
    """What has been found out; see :class:`hermes.directory.accounts.Accounts`."""

    def __init__(self, source: LDAPSource) -> None:
        self._source = source
        self._known: dict[Question, Answer] = {}
        self._missing: dict[Question, None] = {}

    def _told(self, kind: Kind, key: str) -> Answer:
        question = Question(kind, key)
        if question not in self._known:
            self._missing[question] = None
        return self._known.get(question, NOTHING)

    def named(self, name: str) -> Record | None:
        """The account of that name."""
        return self._told(Kind.NAME, name).record

    def listed(self, local_part: str, domain: str) -> Record | None:
        """Who has the address, listed or by the name alone."""
        answer = self._told(Kind.ADDRESS, f"{local_part}@{domain}")
        if answer.found:
            return answer.record
        record = self.named(local_part)
        return record if record is not None and not record.account.addresses else None

    def of_form(self, form: str) -> tuple[Record, ...]:
        """The accounts whose owner's name may be written so."""
        return self._told(Kind.FORM, form).people

    def taken_from(self, name: str, address: str) -> bool:
        """Whether another account lists that address."""
        local_part, domain = split(address)
        record = self._told(Kind.ADDRESS, f"{local_part}@{domain}").record
        return record is not None and record.account.name != name

    def group(self, local_part: str, domain: str) -> Group | None:
        """The group that has the address."""
        return self._told(Kind.ADDRESS, f"{local_part}@{domain}").group

    def of_windows_domain(self, domain: str, name: str) -> Record | None:
        """The account that is called so, when it is our domain; with a principal name or another domain behind it, it is none."""
        if domain not in self._source.windows_domains or "@" in name or "\\" in name:
            return None
        return self.named(name)

    async def learn(self) -> bool:
        """Ask what was not known, one after the other."""
        missing, self._missing = self._missing, {}
        for question in missing:
            self._known[question] = await self._source.answer(question)
        return bool(missing)
