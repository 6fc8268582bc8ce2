"""What Hermes lets its sessions show a portal beyond a name and a password (``twisted.cred``)."""

from __future__ import annotations

from twisted.cred.credentials import ICredentials, IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from zope.interface import Attribute


class IProvedAccount(ICredentials):
    """
    Credentials of somebody who has proved to know an account's password, to a session that has checked the proof.

    A portal lets them in by the name alone. They are made of a :class:`hermes.protocols.sasl.Proof` that matches, by the code
    that gave the keys for it, and of nothing that comes over a wire: no protocol can read one.
    """

    account = Attribute("The name of the account.")


class IPasswordShown(IUsernamePassword):
    """
    A name and a password that a client has shown to a service.

    Any checker for Twisted's ``IUsernamePassword`` can take them. Ours needs the rest for app passwords, and says what it found.
    """

    service = Attribute("The service that it wants: ``smtp`` or ``pop3``.")
    peer = Attribute("The client's address.")
    app_password = Attribute(
        "Set by the checker: the name of the app password that it was; empty for the account's own."
    )
    services = Attribute("Set by the checker: what the app password is for; empty for the account's own.")
    reason = Attribute(
        "Set by the checker: what was wrong, for the trace and not for the client; empty when it does not say."
    )


class IBearerToken(ICredentials):
    """
    An OAuth access token that a client has shown (RFC 6750, RFC 7628), for whoever can tell whether it is good.

    A checker answers with the account's name, and fails with UnauthorizedLogin (:class:`TokenDeniedError` can say more) for a
    token that is not good, or that is somebody else's than ``name`` says, and with UnavailableError when it cannot tell now.
    """

    token = Attribute("The token, text of the characters of RFC 6750 2.1; a secret.")
    name = Attribute(
        "Who the client says it is: an account's name or address; empty when the token alone is to say it."
    )
    host = Attribute("The host that the client thinks it has connected to; empty when it does not say.")
    port = Attribute("The port, likewise; 0 when it does not say.")
    service = Attribute("The service that it wants: ``smtp`` or ``pop3``.")


class TokenDeniedError(UnauthorizedLogin):
    """A token is not good: ``status`` is the error for the client (RFC 6750 3.1), the text is for the trace."""

    def __init__(self, reason: str, status: str = "invalid_token") -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
