"""The seams to other machines: DNS, web servers, and TLS for our own servers."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface import Interface

from hermes.core.dns_answer import Answer, Budget, MailExchanger
from hermes.core.fetched import Fetched
from hermes.core.tls_report import Result


class IResolver(Interface):
    """
    What DNS says. There is one for the whole server, and one cache.

    Names may be in any case and any script; one that cannot be a name does not exist. With a ``budget`` a question that the
    cache cannot answer is spent from it, and waited for no longer than it says: what is exhausted or late is UNAVAILABLE.
    ``asked`` in the answer says whether anybody was asked.
    """

    async def mail_exchangers(domain: str, budget: Budget | None = None) -> Answer[MailExchanger]:
        """The MX records of a domain, in no order."""

    async def addresses(host: str, budget: Budget | None = None) -> Answer[str]:
        """The addresses of a host, those of IPv4 and IPv6 in turn; two questions."""

    async def ipv4_addresses(host: str, budget: Budget | None = None) -> Answer[str]:
        """The A records of a host, as ``192.0.2.1``."""

    async def ipv6_addresses(host: str, budget: Budget | None = None) -> Answer[str]:
        """The AAAA records of a host, as ``2001:db8::1``."""

    async def names(address: str, budget: Budget | None = None) -> Answer[str]:
        """The names that reverse DNS has for an IP address, in lower case without the last dot."""

    async def texts(name: str, budget: Budget | None = None) -> Answer[bytes]:
        """The TXT records of a name, the strings of each joined (RFC 7208 3.3)."""


class IFetcher(Interface):
    """Asks web servers, over TLS and with bounds for time and size."""

    async def fetch(url: str, headers: Mapping[str, str], body: bytes | None = None) -> Fetched:
        """
        Ask: with POST when there is a body, else with GET.

        Any status is an answer. Raises UnavailableError when none comes, TooBusyError when too many questions wait already.
        """


class IServerTLS(Interface):
    """Where servers get TLS from; certificates may be replaced while the server runs."""

    def context_factory() -> IOpenSSLServerConnectionCreator:
        """What ``transport.startTLS`` and ``TLSMemoryBIOFactory`` take."""


class ITLSResults(Interface):
    """Where it is counted what came of TLS with other servers."""

    def record(result: Result) -> None:
        """Count a result; nothing is waited for."""
