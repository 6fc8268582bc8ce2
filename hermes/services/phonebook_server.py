"""
Mercury H: the phone book server. People and their addresses are looked up by the PH protocol (RFC 2378).

What a client may see depends on where it is: a field that it may not see is for it as if nobody had it, in answers and in
questions alike. Nothing can be changed, nobody can log in, and a query that finds too many shows none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

import attrs
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ServerFactory
from typing_extensions import override

from hermes.config.sections.phonebook import PhoneBookSettings
from hermes.core.outcome import Verdict
from hermes.core.peer_address import host_of
from hermes.core.phone_book import FIELDS, Entry, Term
from hermes.interfaces import TooBusyError, UnavailableError
from hermes.net.peer import is_loopback, within
from hermes.net.turns import Engine
from hermes.protocols import ph
from hermes.services.line_connection import LineConnection, LineServer
from hermes.services.query_rate import QueryRate

#: Lines that cannot be, after which a session is ended.
MAX_ERRORS = 20

#: Clients a minute of which the log has who they say they are; each costs a line, and whoever connects can say it.
MAX_IDENTIFIED = 60

#: Shown when a query does not say what; as far as the client may see them.
_USUAL = ("alias", "name", "email", "phone")

#: RFC 2378 4.2: what clients set before they ask; it is taken and changes nothing.
_OPTIONS = frozenset(("echo", "limit", "verbose", "addonly", "nolog"))

_TOO_OFTEN = "Too many queries: try again in a minute."
_LATER = "The book is not available now: try again later."
_FAULT = "Something went wrong here: try again later."

#: Looks in one book for all terms: so many entries at most, None when there are more. UnavailableError and TooBusyError may
#: come of it.
Find = Callable[[Sequence[Term], int], Awaitable[list[Entry] | None]]


@attrs.frozen
class PhoneBook:
    """What is looked up: ``books`` are asked one after the other."""

    settings: PhoneBookSettings
    books: Sequence[Find]
    domain: str
    administrator: str


class PhoneBookSession(LineConnection):
    """One client."""

    def __init__(self, server: LineServer, book: PhoneBook, rate: QueryRate, identified: QueryRate) -> None:
        super().__init__(server)
        self._book = book
        self._rate = rate
        self._identities = identified
        self._errors = 0
        self._identified = False

    @override
    def _begin(self) -> Engine:
        return ph.PhoneBookServer()

    @override
    def _greet(self) -> None:
        """Nothing: the client speaks first."""

    @override
    def _no(self, verdict: Verdict) -> bytes:
        return _line(510, verdict.reply.text if verdict.reply is not None else "Not now.")

    @override
    async def _answer(self, event: ph.Event) -> None:
        try:
            await self._do(event)
        except CancelledError:
            raise
        except (TooBusyError, UnavailableError) as error:
            # What one book does not say might be the only match: no answer is better than half of one.
            self._log.debug("A query of {peer} has to wait: {error}", peer=self.peer, error=error)
            self._say(_line(475, _LATER))
        except Exception:
            self._log.failure("A query of {peer} could not be answered", peer=self.peer)
            self._say(_line(400, _FAULT))

    async def _do(self, event: ph.Event) -> None:
        match event:
            case ph.Query():
                await self._query(event)
            case ph.Status():
                notice = self._book.settings.notice
                text = "Hermes phone book" + (f": {notice}" if notice else "")
                self._say(_line(100, text) + _line(201, "Database ready, read only."))
            case ph.SiteInfo():
                self._site()
            case ph.Fields():
                self._fields(event.names)
            case ph.Identify():
                self._identify(event.text)
            case ph.SetOption():
                self._set(event.options)
            case ph.Help():
                self._say(
                    _line(-200, "Say: query NAME, query NAME return FIELD, fields, siteinfo, quit.") + _line(200, "Ok.")
                )
            case ph.Quit():
                self._say(_line(200, "Bye!"))
                self._end()
            case ph.Refused():
                self._refuse(event.code, event.text)

    def _identify(self, text: str) -> None:
        """For the log, once in a session, and of so many a minute: nobody shall fill it by saying who he is."""
        if not self._identified and self._identities.allows("", self._server.clock.seconds()):
            self._identified = True
            self._log.info("{peer} asks the phone book as {text}", peer=self.peer, text=text[:80])
        self._say(_line(200, "Thanks."))

    def _refuse(self, code: int, text: str) -> None:
        self.record_refusal(Verdict(None, f"phonebook.{code}"), "query")
        self._errors += 1
        self._say(_line(code, text))
        if self._errors >= MAX_ERRORS:
            self._end()

    def _site(self) -> None:
        """RFC 2378 4.1: clients make addresses of ``mailfield`` and ``maildomain``."""
        book = self._book
        facts = [("maildomain", book.domain), ("mailfield", "alias"), ("administrator", book.administrator)]
        lines = [_line(-200, f"{number}:{name}:{value}") for number, (name, value) in enumerate(facts, 1) if value]
        self._say(b"".join(lines) + _line(200, "Ok."))

    def _fields(self, names: Collection[str]) -> None:
        visible = self._visible()
        for name in names:
            if name not in visible:
                self._refuse(507, f"{name}: there is no such field.")
                return
        octets = b""
        for field in FIELDS.values():
            if field.name in visible and (not names or field.name in names):
                words = ["max", str(field.max_characters), *(["Indexed"] if field.indexed else []), "Lookup", "Public"]
                words += ["Default"] if field.name in _USUAL else []
                octets += _line(-200, f"{field.number}:{field.name}:{' '.join(words)}")
                octets += _line(-200, f"{field.number}:{field.name}:{field.doc}")
        self._say(octets + _line(200, "Ok."))

    def _set(self, options: Collection[str]) -> None:
        unknown = [option for option in options if option.partition("=")[0].lower() not in _OPTIONS]
        if unknown:
            self._refuse(513, f"{unknown[0]}: there is no such option.")
        else:
            self._say(_line(200, "Done."))

    def _visible(self) -> Collection[str]:
        settings = self._book.settings
        near = is_loopback(self.peer) or within(self.peer, settings.local_networks)
        return settings.local_fields if near else settings.fields

    async def _query(self, query: ph.Query) -> None:
        settings, visible = self._book.settings, self._visible()
        if not is_loopback(self.peer) and not self._rate.allows(host_of(self.peer), self._server.clock.seconds()):
            self._refuse(475, _TOO_OFTEN)
            return
        for name in (*(term.field for term in query.terms), *query.fields):
            if name not in visible:
                # As if nobody had it: the answer must not tell what is hidden from whoever asks.
                self._refuse(507, f"{name}: there is no such field.")
                return
        found: list[Entry] = []
        for find in self._book.books:
            some = await find(query.terms, settings.max_matches)
            if some is None or len(found) + len(some) > settings.max_matches:
                self._say(_line(502, "Too many entries match: say more."))
                return
            found += some
        if not found:
            self._say(_line(501, "No matches to your query."))
            return
        self._show(found, query, visible)

    def _show(self, found: list[Entry], query: ph.Query, visible: Collection[str]) -> None:
        wanted = query.fields or (FIELDS if query.everything else _USUAL)
        shown = [name for name in wanted if name in visible]
        width = max((len(name) for name in shown), default=0)
        octets = _line(
            102, f"There {'was 1 match' if len(found) == 1 else f'were {len(found)} matches'} to your request."
        )
        for number, each in enumerate(found, 1):
            entry = self._with_alias(each)
            for name in shown:
                for position, value in enumerate(entry.get(name, ())):
                    octets += _line(-200, f"{number}:{name if position == 0 else '':>{width}}: {value}")
                if name in query.fields and name not in entry:
                    octets += _line(-508, f"{number}:{name:>{width}}: Not present in entry.")
        self._say(octets + _line(200, "Ok."))

    def _with_alias(self, entry: Entry) -> Entry:
        """An entry whose alias leads to it: at ``maildomain``, where clients write to it, the nickname may be somebody else's."""
        addresses = {address.lower() for address in entry.get("email", ())}
        aliases = [alias for alias in entry.get("alias", ()) if f"{alias}@{self._book.domain}".lower() in addresses]
        others = {name: values for name, values in entry.items() if name != "alias"}
        return {**others, "alias": tuple(aliases)} if aliases else others


class PhoneBookServerFactory(ServerFactory):
    """Makes the sessions of one listener."""

    noisy = False

    def __init__(self, server: LineServer, book: PhoneBook) -> None:
        self.sessions = server.sessions
        self._server = server
        self._book = book
        self._rate = QueryRate(book.settings.rate)
        self._identified = QueryRate(MAX_IDENTIFIED)

    @override
    def buildProtocol(self, addr: IAddress | None) -> PhoneBookSession:
        session = PhoneBookSession(self._server, self._book, self._rate, self._identified)
        session.factory = self
        return session


def _line(code: int, text: str) -> bytes:
    """RFC 2378 3.2: the code, a colon, the text; a minus sign in front says that more lines follow."""
    return f"{code}:{text}\r\n".encode("utf-8", "replace")
