"""
Connections to directory servers, for the threads that ask them: verified TLS, time-outs, and fail-over.

Everything here waits, and is called in threads of its own. A :class:`Line` belongs to one thread.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import attrs
from twisted.logger import Logger

from hermes.directory.ldap.library import LDAPException, ldap3
from hermes.directory.ldap.profiles import Values
from hermes.interfaces import UnavailableError

#: How long a server is passed over after it has failed: whoever waits shall not wait for its time-out each time. When all have
#: failed, nothing is tried for so long either.
AVOID_SECONDS = 10.0

#: Entries of one answer. One is enough to find somebody and two to see that it could be several; the rest are groups.
MAX_ENTRIES = 20

_SUCCESS, _SIZE_LIMIT, _NO_SUCH_OBJECT, _INVALID_CREDENTIALS = 0, 4, 32, 49

#: Of a text that another program wrote, so much fits a line of the log.
MAX_TEXT = 200

_WRAPPING = re.compile(r"""^(?:\(["'])+|(?:["'],\))+$""")

#: A search with these results (RFC 4511 A.1) was too much work: timeLimitExceeded, adminLimitExceeded.
_TOO_MUCH = frozenset({3, 11})

#: A bind with these results (RFC 4511 A.1) is a wrong password or an account that is closed: constraintViolation,
#: noSuchObject, inappropriateAuthentication, invalidCredentials, insufficientAccessRights, unwillingToPerform. Everything else is
#: the server's own trouble.
_REFUSED = frozenset({19, _NO_SUCH_OBJECT, 48, _INVALID_CREDENTIALS, 50, 53})

#: A change of a password with these results is refused for good: the directory has rules of its own.
_NOT_CHANGED = frozenset({16, 17, 19, 20, 50, 53})


@attrs.frozen
class Found:
    """An entry; the names of its attributes are in lower case."""

    dn: str
    values: Values


@attrs.frozen
class Said:
    """What came of something that the directory may refuse; ``text`` is what it says of it, cut off."""

    done: bool
    text: str = ""


#: The result of a search, the server's text about it, and the entries.
_Answered = tuple[int, str, list[Found]]


@attrs.frozen
class Access:
    """How the servers are reached. ``servers`` are ``ldap://HOST:PORT`` or ``ldaps://HOST:PORT``, the first being preferred."""

    servers: tuple[str, ...]
    starttls: bool
    authority: str
    bind_dn: str
    bind_password: str = attrs.field(repr=False)
    timeout_seconds: int


class TooMuchError(UnavailableError):
    """A server has answered that a search is more work than it does for anybody."""


class Servers:
    """Which servers are thought to be well, for all lines."""

    _log = Logger()

    def __init__(self, access: Access, now: Callable[[], float] = time.monotonic) -> None:
        self.access = access
        self._now = now
        self._avoided_until: dict[str, float] = {}
        self._failing: set[str] = set()
        self.context = ssl.create_default_context(cafile=access.authority or None)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2

    def usable(self) -> list[str]:
        """The servers to try, in order; UnavailableError when all have failed just now."""
        usable = [each for each in self.access.servers if self._avoided_until.get(each, 0.0) <= self._now()]
        if not usable:
            raise UnavailableError("no directory server answers")
        return usable

    def failed(self, server: str, trouble: str) -> None:
        """Try others first for a while; that is said once, because nobody else sees it while there are others."""
        self._avoided_until[server] = self._now() + AVOID_SECONDS
        if server not in self._failing:
            self._failing.add(server)
            self._log.warn("A directory server is passed over: {trouble}", trouble=trouble)

    def answered(self, server: str) -> None:
        """It is well."""
        if server in self._failing:
            self._failing.discard(server)
            self._log.info("The directory server {server} answers again", server=server)


class _Tls(ldap3.Tls):
    """TLS by Python's own rules: the authority and the host's name are verified, or there is no connection."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__()
        self._context = context

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        """Begin TLS on the connection's socket, whose time-out is set."""
        connection.socket = self._context.wrap_socket(connection.socket, server_hostname=connection.server.host)


class Line:
    """What one thread has open: a connection for questions, and one on which passwords are proved."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._asking: Any = None
        self._proving: Any = None
        self._server = ""

    def search(self, base: str, scope: str, filter_: str, attributes: Sequence[str]) -> list[Found]:
        """
        The entries, :data:`MAX_ENTRIES` at most; ``scope`` is BASE, LEVEL or SUBTREE.

        LookupError when there is no ``base``, UnavailableError when no server answers.
        """
        return self.search_some(base, scope, filter_, attributes, MAX_ENTRIES)[0]

    def search_some(
        self, base: str, scope: str, filter_: str, attributes: Sequence[str], most: int
    ) -> tuple[list[Found], bool]:
        """
        The same with ``most`` entries, or as many as the server wants to give; and whether these are all that there are.

        TooMuchError when it has given up.
        """

        def ask(connection: Any) -> _Answered:
            connection.search(
                base, filter_, scope, attributes=list(attributes), size_limit=most, time_limit=self._search_seconds
            )
            found = [_found(each) for each in connection.response or () if "raw_attributes" in each]
            return _code(connection), _text(connection), found

        code, text, found = self._asked(ask)
        if code == _NO_SUCH_OBJECT:
            raise LookupError(f"there is no {base!r} in the directory")
        if code in _TOO_MUCH:
            raise TooMuchError(f"the directory gives up a search (result {code} of RFC 4511): an index may be missing")
        if code not in {_SUCCESS, _SIZE_LIMIT}:
            raise UnavailableError(f"the directory cannot answer a question: {_result(code, text)}")
        return found, code == _SUCCESS

    def proves(self, dn: str, password: bytes) -> Said:
        """Whether the password opens that entry. An empty one would prove nothing (RFC 4513 5.1.2) and is not tried."""
        if not dn or not password:
            return Said(done=False)
        code, connection = self._bound(dn, password)
        return Said(done=code == _SUCCESS, text=_text(connection))

    def change(self, dn: str, old: bytes, new: bytes, *, unicode_password: bool) -> Said:
        """Have the owner of an entry change its password; not done when the directory does not take the new one."""
        code, connection = self._bound(dn, old)
        if code != _SUCCESS:
            return Said(done=False, text=_text(connection))
        try:
            if unicode_password:
                # MS-ADTS 3.1.1.3.1.5: in quotes, UTF-16; to take away the old value and add the new one is to change it.
                quoted = [f'"{each.decode()}"'.encode("utf-16-le") for each in (old, new)]
                changes = [(ldap3.MODIFY_DELETE, [quoted[0]]), (ldap3.MODIFY_ADD, [quoted[1]])]
                connection.modify(dn, {"unicodePwd": changes})
            else:
                # RFC 3062 2: as oneself, with the old password.
                connection.extend.standard.modify_password(None, old, new)
            code, text = _code(connection), _text(connection)
        except (LDAPException, OSError) as error:
            # It may have been done or not: another server would only say that the old password is wrong.
            raise UnavailableError(
                f"{self._server} has not said whether it changed a password: {_words(error)}"
            ) from None
        finally:
            self._close_proving()
        if code == _SUCCESS or code in _NOT_CHANGED:
            return Said(done=code == _SUCCESS, text=text)
        raise UnavailableError(f"the directory cannot change a password: {_result(code, text)}")

    def close(self) -> None:
        """Take leave."""
        self._close_proving()
        if self._asking is not None:
            _close(self._asking)
            self._asking = None

    @property
    def _seconds(self) -> int:
        return self._servers.access.timeout_seconds

    @property
    def _search_seconds(self) -> int:
        """A server that is asked too much shall say so, and not be taken for one that is down."""
        return max(1, self._seconds - 1)

    def _asked(self, ask: Callable[[Any], _Answered]) -> _Answered:
        """Ask on the connection that is open, or on a new one, to the first server that answers."""
        if self._asking is not None:
            try:
                code, text, found = ask(self._asking)
                if code not in {51, 52}:
                    return code, text, found
            except (LDAPException, OSError):
                # A connection that was idle for long, most likely: the same question is asked on a new one.
                pass
            self.close()
        trouble = ""
        for server in self._servers.usable():
            try:
                self._asking = self._opened(server)
                self._server = server
                code, text, found = ask(self._asking)
            except (LDAPException, OSError) as error:
                trouble = f"{server}: {_words(error)}"
            else:
                # busy and unavailable (RFC 4511 A.2) are for the next server.
                if code not in {51, 52}:
                    self._servers.answered(server)
                    return code, text, found
                trouble = f"{server} is busy: {_result(code, text)}"
            self._servers.failed(server, trouble)
            self.close()
        raise UnavailableError(f"no directory server answers; the last was {trouble}")

    def _bound(self, dn: str, password: bytes) -> tuple[int, Any]:
        """Bind on the second connection; the result, which is success or a refusal, and the connection."""
        trouble = ""
        for server in [self._server, *self._servers.usable()] if self._proving is not None else self._servers.usable():
            fresh = self._proving is None
            try:
                if self._proving is None:
                    self._proving = self._connected(server, dn, password)
                    self._server = server
                connection = self._proving
                connection.user, connection.password = dn, password
                connection.bind()
                code = _code(connection)
            except (LDAPException, OSError) as error:
                trouble = f"{server}: {_words(error)}"
            else:
                if code == _SUCCESS or code in _REFUSED:
                    return code, connection
                trouble = f"{server} cannot say: {_result(code, _text(connection))}"
            self._close_proving()
            if fresh:
                self._servers.failed(server, trouble)
        raise UnavailableError(f"no directory server checks passwords; the last was {trouble}")

    def _opened(self, server: str) -> Any:
        """A connection for questions, logged in as the service account or anonymous."""
        access = self._servers.access
        connection = self._connected(server, access.bind_dn, access.bind_password.encode("utf-8"))
        try:
            connection.bind()
        except BaseException:
            _close(connection)
            raise
        if (code := _code(connection)) != _SUCCESS:
            _close(connection)
            said = _result(code, _text(connection))
            raise OSError(f"it refuses the service account: {said}; see bind_dn and bind_password")
        return connection

    def _connected(self, server: str, dn: str, password: bytes) -> Any:
        access, url = self._servers.access, urlsplit(server)
        implicit = url.scheme == "ldaps"
        made = ldap3.Server(
            url.hostname or "",
            port=url.port or (636 if implicit else 389),
            use_ssl=implicit,
            tls=_Tls(self._servers.context),
            get_info=ldap3.NONE,
            connect_timeout=self._seconds,
        )
        connection = ldap3.Connection(
            made,
            dn or None,
            # Octets, which go as they are: they have been prepared already, and the library's types do not know of it.
            (password or None),  # type: ignore[arg-type]
            authentication=ldap3.SIMPLE if dn else ldap3.ANONYMOUS,
            # What a server would have us ask elsewhere must not get anybody's password.
            auto_referrals=False,
            # The first 1500 members of a group are enough to see that there are too many.
            auto_range=False,
            # Nor is what it has not got made up, which would hide the name with the range.
            return_empty_attributes=False,
            auto_escape=False,
            check_names=False,
            receive_timeout=self._seconds,
        )
        try:
            connection.open(read_server_info=False)
            if access.starttls and not implicit and not connection.start_tls(read_server_info=False):
                raise OSError("it does not begin TLS")
        except BaseException:
            _close(connection)
            raise
        return connection

    def _close_proving(self) -> None:
        connection, self._proving = self._proving, None
        if connection is not None:
            _close(connection)


def _code(connection: Any) -> int:
    result = connection.result or {}
    return int(result.get("result", 80))


def _text(connection: Any) -> str:
    """The diagnosticMessage (RFC 4511 4.1.9), which Windows ends with a NUL."""
    text = str((connection.result or {}).get("message") or "")
    return _cut("".join(character if character.isprintable() else " " for character in text))


def _result(code: int, text: str) -> str:
    return f"result {code} of RFC 4511" + (f" ({text})" if text else "")


def _found(response: Any) -> Found:
    values = {
        str(name).lower(): tuple(value.decode("utf-8", "replace") for value in octets or ())
        for name, octets in response["raw_attributes"].items()
    }
    return Found(str(response["dn"]), values)


def _close(connection: Any) -> None:
    opened = connection.socket
    try:
        connection.strategy.close()
    except (LDAPException, OSError):
        # It is gone already.
        return
    finally:
        # The library forgets about one that never became a connection.
        if opened is not None:
            opened.close()


def _words(error: Exception) -> str:
    # The library hands on what others have raised as tuples within tuples.
    return _cut(_WRAPPING.sub("", str(error)).replace("\\'", "'")) or type(error).__name__


def _cut(text: str) -> str:
    return " ".join(text.split())[:MAX_TEXT]
