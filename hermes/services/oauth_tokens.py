"""
The tokens of this server's OAuth clients: refreshed in time, and never given up.

A token is refreshed ten minutes before it expires, in the background; a refresh that fails is tried again after a pause that
grows, and what there is stays. Only a person throws tokens away (``hermes oauth logout``). A login by the command line is seen
within seconds, and at once when it tells the server.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from hermes.config.oauth_client_rules import ClientFacts
from hermes.core.metric import GAUGE, Family, by_label
from hermes.interfaces import IGroupWorker
from hermes.net.https import Answer
from hermes.protocols import oauth
from hermes.services.token_store import Record, TokenStore, TokenStoreError, new_serial

#: How long before it expires a token is refreshed; of one that lives for less than twice that, after half its life.
AHEAD_SECONDS = 600.0

#: A token with less than this left may expire between the login and the end of the message.
LEAST_SECONDS = 30.0

#: How often it is looked whether something is due, or has changed on disk.
LOOK_SECONDS = 15.0

#: Pauses after failures in a row, the last one repeated: soon, because a network may only hiccup; not too often, because an
#: authorization server blocks who does not stop asking.
PAUSES_SECONDS = (15.0, 60.0, 120.0, 300.0, 900.0)

#: The pause after a refusal that only a new login mends (RFC 6749 5.2): servers have been known to be wrong about that.
REFUSED_PAUSE_SECONDS = 3600.0

#: Refusals that speak of the grant or the client, and not of the moment (RFC 6749 5.2).
_FOR_GOOD = frozenset(
    {"invalid_grant", "invalid_client", "unauthorized_client", "invalid_scope", "unsupported_grant_type"}
)

#: Sends a form to an address and returns the answer or words; the last argument is the file of the authority.
Post = Callable[[str, Mapping[str, str], str], Awaitable[Answer | str]]


@attrs.frozen
class NoToken:
    """Why there is no token now, and what to do, in one sentence."""

    reason: str


@attrs.define
class _State:
    """What is remembered of one client beside the file."""

    record: Record | None = None
    stamp: object = False
    failures: int = 0
    next_try_at: float = 0.0
    refreshing: Deferred[None] | None = None
    waiting: list[Deferred[None]] = attrs.field(factory=list)
    #: The token for which a refresh was asked because a server had refused it.
    refused: str = ""
    trouble: str = ""
    #: The record could not be written: it is newer than that on disk.
    unwritten: bool = False


class OAuthTokens:
    """Of every client in :attr:`clients`; ``now`` is the time of day, ``worker`` calls what is put into it in a thread."""

    _log = Logger()

    def __init__(
        self, clock: Any, store: TokenStore, worker: IGroupWorker, now: Callable[[], float], post: Post
    ) -> None:
        self.clients: Mapping[str, ClientFacts] = {}
        self._clock = clock
        self._store = store
        self._worker = worker
        self._now = now
        self._post = post
        self._states: dict[str, _State] = {}
        self._loop: LoopingCall | None = None
        self._looping: Deferred[Any] | None = None

    def start(self) -> None:
        """Begin to look after the tokens."""
        self._loop = LoopingCall(lambda: Deferred.fromCoroutine(self._look()))
        self._loop.clock = self._clock
        self._looping = self._loop.start(LOOK_SECONDS)

    async def stop(self) -> None:
        """Begin no more refreshes; one that is under way ends by its own time limit, and its token is kept."""
        if self._loop is not None and self._looping is not None:
            self._loop.stop()
            await self._looping
            self._loop = None

    async def token(self, name: str) -> str | NoToken:
        """The access token of a client, fresh enough for a login now."""
        state = await self._current(name)
        if not self._usable(state):
            await self._refresh(name, state)
        record = state.record
        if record is not None and self._usable(state):
            return record.access_token
        return NoToken(self._why(name, state))

    async def refused(self, name: str, token: str, reason: str) -> str | None:
        """
        A server did not take this token: another one, if there is one or a refresh gives one; else None.

        There is one refresh for each token, however many logins it was used for, and the token is kept in any case.
        """
        state = await self._current(name)
        if state.record is not None and state.record.access_token == token and state.refused != token:
            state.refused = token
            await self._refresh(name, state)
        record = state.record
        if record is not None and record.access_token and record.access_token != token:
            return record.access_token
        await self._note(name, state, f"the mail server refused the token: {reason}")
        return None

    async def changed(self, name: str) -> None:
        """Somebody has logged in or out: read the file again."""
        state = self._state(name)
        state.stamp = False
        await self._current(name)

    def families(self) -> list[Family]:
        """When the access token of each client expires that has one, and whether it can be used."""
        records = {name: self._states[name].record for name in self.clients if name in self._states}
        return [
            by_label(
                GAUGE,
                "hermes_oauth_token_expires_timestamp_seconds",
                "When the access token of a client expires, as seconds since the epoch.",
                "client",
                {name: record.expires_at for name, record in records.items() if record is not None},
            ),
            by_label(
                GAUGE,
                "hermes_oauth_token_usable",
                "Whether there is an access token that can be used now.",
                "client",
                {name: int(self._usable(self._states[name])) for name in records},
            ),
        ]

    async def _look(self) -> None:
        for name in list(self.clients):
            with self._log.failuresHandled("The token of {name} could not be looked after", name=name):
                state = await self._current(name)
                if state.unwritten and state.record is not None:
                    await self._keep(name, state, state.record, partial(_newest, newest=state.record))
                if self._due(state):
                    await self._refresh(name, state)

    def _state(self, name: str) -> _State:
        if name not in self._states:
            self._states[name] = _State()
        return self._states[name]

    async def _current(self, name: str) -> _State:
        """What is known, with the file as it is now."""
        state = self._state(name)
        try:
            stamp = await self._worker.submit(partial(self._store.stamp, name))
            if stamp != state.stamp:
                record = await self._worker.submit(partial(self._store.read, name))
                if record is None or state.record is None or record.serial != state.record.serial:
                    # A new login: nothing of what went wrong before matters.
                    state.failures, state.next_try_at, state.refused, state.unwritten = 0, 0.0, "", False
                if not state.unwritten:
                    state.record = record
                state.stamp, state.trouble = stamp, ""
        except (TokenStoreError, OSError) as error:
            state.trouble = str(error)
        return state

    def _usable(self, state: _State) -> bool:
        record = state.record
        return record is not None and bool(record.access_token) and self._now() < record.expires_at - LEAST_SECONDS

    def _due(self, state: _State) -> bool:
        record = state.record
        if record is None or not record.refresh_token:
            return False  # what needs no person is asked for when it is needed
        life = record.expires_at - max(record.obtained_at, record.refreshed_at)
        return self._now() >= record.expires_at - min(AHEAD_SECONDS, life / 2)

    def _why(self, name: str, state: _State) -> str:
        login = f"run 'hermes oauth login {name}'"
        if state.trouble:
            return f"the OAuth token of {name} cannot be used: {state.trouble}"
        record = state.record
        if record is None:
            return f"there is no OAuth token of {name} yet: {login}"
        if record.login_needed or not (record.refresh_token or self._needs_nobody(name)):
            return f"the OAuth token of {name} has expired and cannot be refreshed ({record.error or 'none was given'}): {login}"
        return f"the OAuth token of {name} could not be refreshed ({record.error}): it is tried again by itself"

    def _needs_nobody(self, name: str) -> bool:
        return name in self.clients and self.clients[name].grant == "client_credentials"

    async def _refresh(self, name: str, state: _State) -> None:
        """One at a time for each client, and not before the pause after a failure is over; others wait for its end."""
        if state.refreshing is not None:
            waiting: Deferred[None] = Deferred()
            state.waiting.append(waiting)
            await waiting
            return
        if name not in self.clients or self._now() < state.next_try_at or state.trouble:
            return
        state.refreshing = Deferred()
        try:
            await self._ask(name, state, self.clients[name])
        finally:
            state.refreshing = None
            waiting_now, state.waiting = state.waiting, []
            for each in waiting_now:
                each.callback(None)

    async def _ask(self, name: str, state: _State, facts: ClientFacts) -> None:
        client = oauth.Client(facts.client_id, facts.client_secret, facts.scopes)
        record = state.record
        if facts.grant == "client_credentials":
            form = oauth.credentials_form(client)
            record = record or Record(new_serial())
        elif record is not None and record.refresh_token:
            form = oauth.refresh_form(client, record.refresh_token)
        else:
            return
        tokens = await asked(self._post, facts.token_endpoint, form, facts.authority)
        if isinstance(tokens, oauth.Tokens):
            state.failures, state.next_try_at = 0, 0.0
            await self._keep(name, state, record, partial(refreshed, tokens=tokens, now=self._now()))
            self._log.info("The OAuth token of {name} is fresh for {seconds} s", name=name, seconds=tokens.life_seconds)
            return
        final = isinstance(tokens, oauth.Denied) and tokens.error in _FOR_GOOD
        pause = PAUSES_SECONDS[min(state.failures, len(PAUSES_SECONDS) - 1)]
        state.failures += 1
        state.next_try_at = self._now() + (REFUSED_PAUSE_SECONDS if final else pause)
        self._log.warn("The OAuth token of {name} was not refreshed: {reason}", name=name, reason=str(tokens))
        change = partial(failed, reason=str(tokens), now=self._now(), login_needed=final)
        await self._keep(name, state, record, change)

    async def _note(self, name: str, state: _State, reason: str) -> None:
        if state.record is not None and state.record.error != reason:
            change = partial(failed, reason=reason, now=self._now(), login_needed=state.record.login_needed)
            await self._keep(name, state, state.record, change)

    async def _keep(self, name: str, state: _State, record: Record, change: Callable[[Record], Record]) -> None:
        """Write a change, unless there has been another login; what cannot be written is used, and written when it can be."""
        state.record = change(record)
        try:
            kept = await self._worker.submit(partial(self._store.update, name, record.serial, change))
            if kept is None and self._needs_nobody(name):
                await self._worker.submit(partial(self._store.write, name, state.record))
                kept = state.record
            state.record, state.unwritten = kept, False
            state.stamp = await self._worker.submit(partial(self._store.stamp, name))
        except (TokenStoreError, OSError) as error:
            if not state.unwritten:
                self._log.error(
                    "The OAuth token of {name} could not be written, and is tried again: {reason}",
                    name=name,
                    reason=str(error),
                )
            state.unwritten = True


async def asked(post: Post, address: str, form: Mapping[str, str], authority: str) -> oauth.Tokens | oauth.Denied | str:
    """Ask a token endpoint; words when nothing that it said can be used."""
    answer = await post(address, form, authority)
    if isinstance(answer, str):
        return answer
    try:
        return oauth.tokens_from(answer.status, answer.body)
    except oauth.NotOAuthError as error:
        return f"the answer of {address} cannot be used: {error}"


def refreshed(record: Record, tokens: oauth.Tokens, now: float) -> Record:
    """A record after a successful refresh; RFC 6749 6: without a new refresh token the old one stays good."""
    return attrs.evolve(
        record,
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token or record.refresh_token,
        expires_at=now + tokens.life_seconds,
        obtained_at=record.obtained_at or now,
        refreshed_at=now,
        error="",
        error_at=0.0,
        login_needed=False,
    )


def _newest(record: Record, newest: Record) -> Record:
    """A record that is kept at last."""
    return newest


def failed(record: Record, reason: str, now: float, login_needed: bool) -> Record:
    """A record after a failure: the tokens stay."""
    return attrs.evolve(record, error=reason, error_at=now, login_needed=login_needed)
