"""
The certificates of all servers: one for everybody, and others for those who ask for another name (SNI, RFC 6066 3).

A client says which name it wants before anything else; who names none, or one that nobody has a certificate for, gets that of
``[tls]``, because a mail client that verifies says more clearly what is wrong than a broken handshake does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from hermes.config.schema import Settings
from hermes.interfaces import IServerTLS
from hermes.net.tls import CertificateError, ServerTLS


@attrs.frozen
class Named:
    """A certificate for some names: those that are given, or else those that are in it."""

    tls: ServerTLS
    given: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names for which it is used."""
        return self.given or self.tls.names


@implementer(IServerTLS)
class Certificates:
    """The certificate for everybody, and the others; of two for one name the first one is used."""

    def __init__(self, default: ServerTLS, named: Sequence[Named] = ()) -> None:
        self._default = default
        self._named = named
        self._by_name: dict[str, ServerTLS] = {}
        self._chooses: SSL.Context | None = None
        self._look_again()

    def context_factory(self) -> IOpenSSLServerConnectionCreator:
        """What ``startTLS`` and ``TLSMemoryBIOFactory`` take; connections made by it use the certificates of the moment."""
        return _Connections(self)

    def connection(self) -> SSL.Connection:
        """The server's side of a connection."""
        return SSL.Connection(self._default.context, None)

    def for_name(self, name: str) -> ServerTLS:
        """The certificate for a host name, in whatever case."""
        wanted = name.lower().removesuffix(".")
        wildcard = f"*.{wanted.partition('.')[2]}"
        return self._by_name.get(wanted) or self._by_name.get(wildcard) or self._default

    def reload_if_changed(self) -> bool:
        """Take those anew whose files have changed; True when there were any."""
        changed = [each.reload_if_changed() for each in self._all()]
        if any(changed):
            self._look_again()
        return any(changed)

    def describe(self) -> list[dict[str, object]]:
        """Each certificate with its file, the names for which it is used, and the days that are left."""
        names = {id(each.tls): each.names for each in self._named}
        return [
            {
                "file": each.file,
                "names": " ".join(names.get(id(each), ("*", *each.names))),
                "days_left": each.days_left(),
            }
            for each in self._all()
        ]

    def expire(self) -> dict[str, float]:
        """When each certificate expires, by its file, as seconds since the epoch."""
        return {each.file: each.expires_at for each in self._all()}

    def _all(self) -> Iterable[ServerTLS]:
        return (self._default, *(each.tls for each in self._named))

    def _look_again(self) -> None:
        """Certificates have been read: their names may have changed, and so have their contexts."""
        self._by_name = {name: each.tls for each in reversed(self._named) for name in each.names}
        context = self._default.context
        if self._named and context is not self._chooses:
            # Only once: a context that has made connections can be changed no more.
            self._chooses = context
            context.set_tlsext_servername_callback(self._choose)

    def _choose(self, connection: SSL.Connection) -> None:
        name = connection.get_servername()
        if name:
            chosen = self.for_name(name.decode("ascii", "replace"))
            if chosen is not self._default:
                connection.set_context(chosen.context)


@implementer(IOpenSSLServerConnectionCreator)
class _Connections:
    """Makes the server's side of TLS connections."""

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N802, N803
        """Make the connection that Twisted feeds."""
        return self._certificates.connection()


def certificates_of(settings: Settings) -> Certificates | None:
    """The certificates that the settings name; raise ValueError, with a text for the administrator, when one cannot be used."""
    if not settings.tls.certificate:
        return None
    try:
        default = ServerTLS(settings.tls.certificate, settings.tls.key)
        return Certificates(
            default,
            [Named(ServerTLS(each.certificate, each.key), each.names) for each in settings.certificate.values()],
        )
    except (CertificateError, OSError) as error:
        raise ValueError(str(error)) from error
