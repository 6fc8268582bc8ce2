"""
Which sessions are written down: those that the settings name, those of which connection control says so, and those that an
administrator has asked for, for a while.

A session asks once when it begins, and once at each login. While nothing is to be written down that is the look at one flag.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import attrs
from twisted.internet.interfaces import IReactorTime

from hermes.config.sections.transcripts import TRANSCRIBED, TranscriptsSettings
from hermes.core.address_range import AddressRange
from hermes.core.peer_address import address_of
from hermes.interfaces import IAccess
from hermes.net import tls
from hermes.net.turns import Turns
from hermes.protocols.tap import Tap
from hermes.services.transcript import Transcript
from hermes.services.transcript_files import Place, TranscriptFiles

#: Longest time for which one can ask: what has been forgotten ends by itself.
MAX_DEMAND_SECONDS = 86400

#: Demands at once: more than anybody looks through, and a session compares itself with each.
MAX_DEMANDS = 50


@attrs.frozen
class Demand:
    """What an administrator has asked for: sessions of one ``kind`` (service, ip, account), until an instant of the clock."""

    kind: str
    text: str
    until: float
    addresses: AddressRange | None = None


class Tapped(Protocol):
    """An engine."""

    tap: Tap | None


class Transcripts:
    """One for the whole server; :meth:`reconfigure` takes other settings, and demands outlive that."""

    def __init__(self, clock: IReactorTime, now: Callable[[], float], files: TranscriptFiles) -> None:
        self._clock = clock
        self._now = now
        self._files = files
        self._settings = TranscriptsSettings()
        self._access: IAccess | None = None
        self._demands: list[Demand] = []
        self._active = False

    def reconfigure(self, settings: TranscriptsSettings, access: IAccess | None) -> None:
        """Go by these from now on; ``access`` is connection control, where it has entries with ``log = yes``."""
        self._settings = settings
        self._access = access
        self._look()

    def ask_for(self, kind: str, text: str, seconds: float) -> Demand:
        """Write down sessions that begin, or log in, within this time; raise ValueError with a text for the administrator."""
        if not 1 <= seconds <= MAX_DEMAND_SECONDS:
            raise ValueError("a transcript can be asked for from 1s to 1d")
        if kind == "service" and text not in TRANSCRIBED:
            raise ValueError(f"{text!r} is not a server: there are {' and '.join(TRANSCRIBED)}")
        if not text:
            raise ValueError(f"the {kind} is missing")
        demand = Demand(kind, text, self._clock.seconds() + seconds, AddressRange.parse(text) if kind == "ip" else None)
        others = [each for each in self.demands() if (each.kind, each.text) != (kind, text)]
        if len(others) >= MAX_DEMANDS:
            raise ValueError(f"there are {MAX_DEMANDS} already: end some with hermes transcript off")
        self._demands = [*others, demand]
        self._look()
        return demand

    def withdraw(self, kind: str = "", text: str = "") -> int:
        """End a demand, or all; how many that were. Sessions that are being written down go on to their end."""
        before = self.demands()
        self._demands = [each for each in before if kind and (each.kind, each.text) != (kind, text)]
        self._look()
        return len(before) - len(self._demands)

    def demands(self) -> list[Demand]:
        """What is asked for now."""
        now = self._clock.seconds()
        self._demands = [each for each in self._demands if each.until > now]
        return list(self._demands)

    def left(self, demand: Demand) -> float:
        """For how many seconds a demand still holds."""
        return demand.until - self._clock.seconds()

    def tidy(self) -> None:
        """Remove the files that are too old."""
        self._files.tidy(self._place())

    def begin(self, service: str, peer: str, listener: str, used_tls: Callable[[], str | None]) -> Transcript | None:
        """A transcript for a session that begins; None when it is not to be written down."""
        why = self._why(service, peer) if self._active else ""
        return self._open(service, peer, listener, used_tls, why) if why else None

    def at_login(
        self, service: str, peer: str, listener: str, account: str, used_tls: Callable[[], str | None]
    ) -> Transcript | None:
        """A transcript for a session without one that has logged in; None when it is not to be written down."""
        if not self._active:
            return None
        name = account.lower()
        demanded = any(each.kind == "account" and each.text.lower() == name for each in self.demands())
        if demanded or any(each.lower() == name for each in self._settings.accounts):
            return self._open(service, peer, listener, used_tls, f"account {account}, from the login on")
        return None

    def _look(self) -> None:
        settings = self._settings
        self._active = bool(
            settings.services or settings.networks or settings.accounts or self._access or self._demands
        )

    def _why(self, service: str, peer: str) -> str:
        demands = self.demands()
        if service in self._settings.services or any(
            each.kind == "service" and each.text == service for each in demands
        ):
            return f"service {service}"
        ranges = [*self._settings.networks, *(each.addresses for each in demands if each.addresses is not None)]
        held = _holding(ranges, peer)
        if held is not None:
            return f"network {held}"
        entry = self._access.entry(peer, service) if self._access is not None else None
        if not demands:
            self._look()
        return entry.rule if entry is not None and entry.log else ""

    def _open(self, service: str, peer: str, listener: str, used_tls: Callable[[], str | None], why: str) -> Transcript:
        settings = self._settings
        at = datetime.fromtimestamp(self._now(), UTC)
        head = (
            f"A session of {service} at {listener} with {peer}, {at:%Y-%m-%d %H:%M:%S.%f} UTC; written down for {why}\n"
            "Seconds since then; > said by the client, < said to it, -- neither; secrets are blanked\n"
        )
        write = self._files.open(self._place(), service, peer)
        return Transcript(service, head, self._clock, write, used_tls, max_octets=settings.size, bodies=settings.bodies)

    def _place(self) -> Place:
        settings = self._settings
        return Place(settings.directory, settings.max_files, settings.keep)


class Scribe:
    """The transcript of one session, if it has any."""

    __slots__ = ("_engine", "_listener", "_service", "_session", "_transcript", "_transcripts", "_turns")

    def __init__(
        self, transcripts: Transcripts | None, service: str, listener: str, session: Any, engine: Tapped, turns: Turns
    ) -> None:
        self._transcripts = transcripts
        self._service = service
        self._listener = listener
        self._session = session
        self._engine = engine
        self._turns = turns
        self._transcript: Transcript | None = None

    def begin(self) -> None:
        """The session begins; or the front end has said that it is another's from now on."""
        peer, via = self._session.peer, self._session.via
        if self._transcript is None and self._transcripts is not None:
            self._use(self._transcripts.begin(self._service, peer, self._listener, self._used_tls))
        if self._transcript is not None and via:
            self._transcript.note(f"{via} says that the client is {peer}")

    def logged_in(self, account: str) -> None:
        """Somebody has logged in."""
        if self._transcript is not None:
            self._transcript.note(f"logged in: {account}")
        elif self._transcripts is not None:
            peer = self._session.peer
            self._use(self._transcripts.at_login(self._service, peer, self._listener, account, self._used_tls))

    def close(self, reason: str) -> None:
        """The connection is gone."""
        transcript, self._transcript = self._transcript, None
        if transcript is not None:
            transcript.close(reason)

    def _use(self, transcript: Transcript | None) -> None:
        self._transcript = self._engine.tap = self._turns.listener = transcript

    def _used_tls(self) -> str | None:
        return tls.describe(self._session.transport)


def _holding(ranges: list[AddressRange], peer: str) -> AddressRange | None:
    if not ranges:
        return None
    address = address_of(peer)
    if address is None:
        return None
    return next(
        (each for each in ranges if each.version == address.version and each.first <= int(address) <= each.last), None
    )
