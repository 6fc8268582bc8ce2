"""
Asking a web server one question: HTTPS, with the certificate checked, and with bounds for time and size.

For questions that a login hangs on: a new connection for each, no redirects, and what the caller gets is a status and
octets, or words why not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from OpenSSL import SSL, crypto
from service_identity import VerificationError
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, TimeoutError
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.ssl import Certificate, platformTrust, trustRootFromCertificates
from zope.interface import implementer

from hermes import __version__
from hermes.core.fetched import Fetched
from hermes.interfaces import IFetcher, TooBusyError, UnavailableError
from hermes.net.https import MAX_HEAD_OCTETS, Asking, ask
from hermes.net.system_words import system_words

#: An answer about a token has some hundred octets, a set of keys some ten thousand.
MAX_OCTETS = 256 * 1024

# An address without white space and control characters: it goes into the first line of a request (RFC 9112 3).
_ADDRESS = re.compile(r"[!-~]+\Z")

#: Questions at once, and how many more may wait: what comes on top is told to come again. Each holds a connection and a login.
MAX_AT_ONCE = 8
MAX_WAITING = 64


def _trust(authority: str) -> Any:
    """The system's authorities, or those of one file."""
    if not authority:
        return platformTrust()
    with open(authority, "rb") as file:
        octets = file.read()
    try:
        return trustRootFromCertificates([Certificate.loadPEM(each) for each in _certificates(octets)])
    except crypto.Error:
        raise ValueError("there is a certificate in it that cannot be read") from None


@implementer(IFetcher)
class Fetcher:
    """
    Asks by a reactor; ``authority`` is a PEM file with the authority to trust instead of the system's. ``at_once`` questions are
    asked at once, and so many more may wait: ``waiting``.

    Raises ``OSError`` or ``ValueError`` when that file cannot be used.
    """

    def __init__(
        self,
        reactor: Any,
        timeout_seconds: float,
        authority: str = "",
        *,
        at_once: int = MAX_AT_ONCE,
        waiting: int = MAX_WAITING,
    ) -> None:
        self._reactor = reactor
        self._timeout_seconds = timeout_seconds
        self._root = _trust(authority)
        self._turns = DeferredSemaphore(at_once)
        self._most_waiting = waiting

    async def fetch(self, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Fetched:
        """
        Ask, by POST when there is a body, else by GET.

        Raises UnavailableError when the other side does not answer as it should, and TooBusyError when it has not been asked,
        because too many others are.
        """
        if len(self._turns.waiting) >= self._most_waiting:
            raise TooBusyError("too many questions wait for their turn")
        # Waiting for a turn counts too: nobody who logs in waits any longer.
        end = self._reactor.seconds() + self._timeout_seconds
        try:
            await self._turns.acquire().addTimeout(self._timeout_seconds, self._reactor)
        except TimeoutError:
            raise TooBusyError(f"no turn within {self._timeout_seconds:g} seconds") from None
        try:
            return await self._answer(url, headers, body, end)
        finally:
            self._turns.release()

    async def _answer(self, url: str, headers: Mapping[str, str], body: bytes | None, end: float) -> Fetched:
        seconds = max(0.0, end - self._reactor.seconds())
        answer = Deferred.fromCoroutine(self._ask(url, headers, body))
        try:
            return await answer.addTimeout(seconds, self._reactor)
        except (TimeoutError, ConnectingCancelledError) as error:
            if isinstance(error, ConnectingCancelledError) and self._reactor.seconds() < end:
                # Twisted has a word of its own for who is called off while connecting.
                raise CancelledError from None
            if seconds < self._timeout_seconds / 2:
                # It has had its turn late, which is nobody's fault but ours.
                raise TooBusyError(f"a turn too late to be answered within {self._timeout_seconds:g} seconds") from None
            raise UnavailableError(f"no answer within {self._timeout_seconds:g} seconds") from None
        except (CancelledError, UnavailableError):
            raise
        except Exception as error:
            raise UnavailableError(_words(error)) from None

    async def _ask(self, url: str, headers: Mapping[str, str], body: bytes | None) -> Fetched:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or not _ADDRESS.match(url):
            raise UnavailableError(f"{url!r} is no https: address")
        asking = Asking(_question(parts, headers, body), MAX_HEAD_OCTETS + MAX_OCTETS, strict=True)
        try:
            answer = await ask(self._reactor, parts, self._root, asking, self._timeout_seconds)
        finally:
            asking.cut()
        if len(answer.body) > MAX_OCTETS:
            raise UnavailableError(f"its answer has more than {MAX_OCTETS} octets")
        return Fetched(answer.status, answer.body)


def _question(parts: SplitResult, headers: Mapping[str, str], body: bytes | None) -> bytes:
    """RFC 9112 3 and 5: one request, and then the connection closes."""
    host = parts.netloc.rpartition("@")[2]
    target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    named = {"Host": host, "User-Agent": f"Hermes/{__version__}", **headers, "Connection": "close"}
    if body is not None:
        named["Content-Length"] = str(len(body))
    lines = "".join(f"{name}: {text}\r\n" for name, text in named.items())
    return f"{'GET' if body is None else 'POST'} {target} HTTP/1.1\r\n{lines}\r\n".encode("ascii") + (body or b"")


def _words(error: Exception) -> str:
    """What went wrong with a question, shortly."""
    if isinstance(error, SSL.Error):
        said = error.args[0] if error.args and isinstance(error.args[0], list) else []
        return f"TLS failed: {said[0][2] if said else 'no reason was given'}"
    if isinstance(error, VerificationError):
        return "TLS failed: its certificate is for another name"
    return system_words(error) or type(error).__name__


def _certificates(octets: bytes) -> list[bytes]:
    """The certificates of a PEM file, one by one; ValueError when there are none."""
    end = b"-----END CERTIFICATE-----"
    found = [part + end for part in octets.split(end)[:-1]]
    if not found:
        raise ValueError("there is no certificate in PEM form in it")
    return found
