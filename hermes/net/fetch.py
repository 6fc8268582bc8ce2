"""
Asking a web server one question: HTTPS, with the certificate checked, and with bounds for time and size.

For questions that a login hangs on: a new connection for each, no redirects, and what the caller gets is a status and
octets, or words why not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, TimeoutError, succeed
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IConsumer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import Certificate, optionsForClientTLS, platformTrust, trustRootFromCertificates
from twisted.python.failure import Failure
from twisted.web.client import Agent, ResponseDone, ResponseFailed, ResponseNeverReceived
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer, IPolicyForHTTPS
from typing_extensions import override
from zope.interface import implementer

from hermes import __version__
from hermes.core.fetched import Fetched
from hermes.interfaces import IFetcher, TooBusyError, UnavailableError
from hermes.net.system_words import system_words

#: An answer about a token has some hundred octets, a set of keys some ten thousand.
MAX_OCTETS = 256 * 1024

#: Questions at once, and how many more may wait: what comes on top is told to come again. Each holds a connection and a login.
MAX_AT_ONCE = 8
MAX_WAITING = 64


class TooLargeError(Exception):
    """An answer is larger than it may be."""


@implementer(IPolicyForHTTPS)
class _Trust:
    """Certificates must be for the host's name, and lead to the system's authorities or to those of one file."""

    def __init__(self, authority: str) -> None:
        self._root: Any = platformTrust()
        if authority:
            with open(authority, "rb") as file:
                octets = file.read()
            try:
                self._root = trustRootFromCertificates([Certificate.loadPEM(each) for each in _certificates(octets)])
            except crypto.Error:
                raise ValueError("there is a certificate in it that cannot be read") from None

    def creatorForNetloc(self, hostname: bytes, port: int) -> Any:  # noqa: N802 - as IPolicyForHTTPS calls it
        return optionsForClientTLS(hostname.decode("ascii"), trustRoot=self._root)


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
        # Without a pool nothing is kept open, and no question meets a connection that is about to close.
        self._agent = Agent(reactor, _Trust(authority), connectTimeout=timeout_seconds)
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
        except TooLargeError:
            raise UnavailableError(f"its answer has more than {MAX_OCTETS} octets") from None
        except Exception as error:
            raise UnavailableError(_words(error)) from None

    async def _ask(self, url: str, headers: Mapping[str, str], body: bytes | None) -> Fetched:
        named = {"User-Agent": f"Hermes/{__version__}", **headers}
        told = Headers({name.encode("ascii"): [text.encode("ascii")] for name, text in named.items()})
        method, producer = (b"GET", None) if body is None else (b"POST", _Body(body))
        try:
            response = await self._agent.request(method, url.encode("ascii"), told, producer)
            collector = _Collector()
            response.deliverBody(collector)
            return Fetched(response.code, await collector.done)
        except (ResponseNeverReceived, ResponseFailed) as error:
            # What is called off comes back in a wrapping.
            raise _cause(error) from None


@implementer(IBodyProducer)
class _Body:
    """What is asked, in one piece."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self.length = len(octets)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:  # noqa: N802 - as IBodyProducer calls it
        consumer.write(self._octets)
        return succeed(None)

    def pauseProducing(self) -> None:
        """It has all been written."""

    def resumeProducing(self) -> None:
        """It has all been written."""

    def stopProducing(self) -> None:
        """It has all been written."""


class _Collector(Protocol):
    """Takes the body of an answer, up to a limit; ``done`` may be cancelled."""

    def __init__(self) -> None:
        self.done: Deferred[bytes] = Deferred(lambda _: self._stop())
        self._octets = bytearray()

    @override
    def dataReceived(self, data: bytes) -> None:
        self._octets += data
        if len(self._octets) > MAX_OCTETS and not self.done.called:
            self._octets.clear()
            self.done.errback(TooLargeError())
            self._stop()

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.done.called:
            return
        if reason.check(ResponseDone):
            self.done.callback(bytes(self._octets))
        else:
            self.done.errback(reason)

    def _stop(self) -> None:
        transport: Any = self.transport
        transport.stopProducing()


def _words(error: Exception) -> str:
    """What went wrong with a question, shortly."""
    if isinstance(error, SSL.Error):
        said = error.args[0] if error.args and isinstance(error.args[0], list) else []
        return f"TLS failed: {said[0][2] if said else 'no reason was given'}"
    return system_words(error) or type(error).__name__


def _cause(error: BaseException) -> BaseException:
    while isinstance(error, ResponseNeverReceived | ResponseFailed) and error.reasons:
        error = error.reasons[0].value
    return error


def _certificates(octets: bytes) -> list[bytes]:
    """The certificates of a PEM file, one by one; ValueError when there are none."""
    end = b"-----END CERTIFICATE-----"
    found = [part + end for part in octets.split(end)[:-1]]
    if not found:
        raise ValueError("there is no certificate in PEM form in it")
    return found
