"""
Which command may be said when: the state of a session, and one table (RFC 5321 4.1.4).

The state changes by our own answers alone, in :mod:`hermes.protocols.smtp.server`; here it is only looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from hermes.core.envelope import BodyType
from hermes.protocols.sasl_mechanisms import usable
from hermes.protocols.smtp.commands import PARSERS, refused
from hermes.protocols.smtp.events import Flavor, MailFrom, Refused, XClient
from hermes.protocols.smtp.parameters import ServerParameters


@attrs.define
class Session:
    """
    What has been agreed so far.

    ``extended`` is false after HELO; ``recipients`` counts those accepted in this transaction and ``messages`` the MAIL commands
    of the session; ``chunking`` says that this transaction's message has begun by BDAT. ``told_hello`` and ``told_protocol`` are
    what XCLIENT said, which EHLO does not change.
    """

    tls_active: bool = False
    hello_name: str = ""
    extended: bool = False
    authenticated: bool = False
    messages: int = 0
    in_transaction: bool = False
    recipients: int = 0
    body: BodyType = BodyType.SEVEN_BIT
    smtputf8: bool = False
    chunking: bool = False
    told_hello: str = ""
    told_protocol: str = ""

    def begin_transaction(self, mail: MailFrom) -> None:
        """MAIL was accepted."""
        self.end_transaction()
        self.in_transaction = True
        self.body = mail.body
        self.smtputf8 = mail.smtputf8

    def end_transaction(self) -> None:
        """Forget sender and recipients (RFC 5321 4.1.1.5)."""
        self.in_transaction = False
        self.recipients = 0
        self.body = BodyType.SEVEN_BIT
        self.smtputf8 = False
        self.chunking = False

    def as_client(self, client: XClient) -> Session:
        """What follows XCLIENT: nothing stays of what was said but by XCLIENT itself."""
        return Session(
            tls_active=self.tls_active,
            told_hello=self.told_hello if client.hello is None else client.hello,
            told_protocol=client.protocol or self.told_protocol,
        )

    def mechanisms(self, parameters: ServerParameters) -> list[str]:
        """What AUTH offers now."""
        names = parameters.mechanisms if self.tls_active else parameters.mechanisms_in_clear
        return usable(names, tls=self.tls_active)

    def login_offered(self, parameters: ServerParameters) -> bool:
        """True when AUTH may be said."""
        return bool(self.mechanisms(parameters)) and not self.authenticated

    def starttls_offered(self, parameters: ServerParameters) -> bool:
        """True when STARTTLS may be said."""
        return parameters.starttls and not self.tls_active


Check = Callable[[Session, ServerParameters], Refused | None]


def check(verb: str, session: Session, parameters: ServerParameters) -> Refused | None:
    """The refusal of a verb that may not be said now, or None."""
    for rule in (_PRESENCE.get(verb, _always), *_RULES.get(verb, ())):
        refusal = rule(session, parameters)
        if refusal is not None:
            return refusal
    return None


def offered(session: Session, parameters: ServerParameters) -> tuple[str, ...]:
    """The commands that are there for this client as things stand now, whether or not it is their turn (RFC 5321 4.1.1.8)."""
    return tuple(
        verb
        for verb in PARSERS
        if _PRESENCE.get(verb, _always)(session, parameters) is None
        # As in the answer to EHLO: not where it wants TLS first.
        and (verb != "AUTH" or session.login_offered(parameters))
    )


def _always(_session: Session, _parameters: ServerParameters) -> None:
    """A command that is always there."""


def _sequence(text: str, code: int = 503) -> Refused:
    return refused("protocol.sequence", code, "5.5.1", text)


def _smtp_hello(_session: Session, parameters: ServerParameters) -> Refused | None:
    # RFC 2033 4.1: HELO and EHLO must not succeed, so that a wrong configuration is found. No enhanced code: RFC 2034 4.
    if parameters.flavor is Flavor.LMTP:
        return refused("protocol.unknown_command", 500, None, "This is LMTP: use LHLO")
    return None


def _lmtp_hello(_session: Session, parameters: ServerParameters) -> Refused | None:
    if parameters.flavor is not Flavor.LMTP:
        return refused("protocol.unknown_command", 500, None, "This is not LMTP: use EHLO")
    return None


def _after_hello(session: Session, parameters: ServerParameters) -> Refused | None:
    if session.hello_name:
        return None
    return _sequence(f"{'LHLO' if parameters.flavor is Flavor.LMTP else 'EHLO'} comes first")


def _front_end(_session: Session, parameters: ServerParameters) -> Refused | None:
    # For everybody else there is no such command.
    return None if parameters.xclient else refused("protocol.unknown_command", 500, "5.5.2", "Command unknown")


def _turn_offered(_session: Session, parameters: ServerParameters) -> Refused | None:
    return None if parameters.etrn else refused("protocol.unsupported", 502, "5.5.1", "ETRN is not offered here")


def _tls_possible(session: Session, parameters: ServerParameters) -> Refused | None:
    if session.tls_active:
        return _sequence("TLS is active already")
    if not parameters.starttls:
        return refused("protocol.unsupported", 502, "5.5.1", "STARTTLS is not offered here")
    return None


def _auth_possible(session: Session, parameters: ServerParameters) -> Refused | None:
    if session.authenticated:
        # RFC 4954 4
        return _sequence("You have logged in already")
    if not (parameters.mechanisms or parameters.mechanisms_in_clear):
        return refused("protocol.unsupported", 502, "5.5.1", "AUTH is not offered here")
    return None


def _logged_in(session: Session, parameters: ServerParameters) -> Refused | None:
    """RFC 6409 4.3: a submission must say whose it is."""
    if parameters.flavor is not Flavor.SUBMISSION or session.authenticated:
        return None
    if session.starttls_offered(parameters) and not session.mechanisms(parameters):
        # RFC 3207 4
        return refused("tls.required", 530, "5.7.0", "Use STARTTLS first, then log in")
    return refused("auth.required", 530, "5.7.0", "Log in first")


def _outside_transaction(session: Session, _parameters: ServerParameters) -> Refused | None:
    return _sequence("There is a transaction already: end it or use RSET") if session.in_transaction else None


def _in_transaction(session: Session, _parameters: ServerParameters) -> Refused | None:
    return None if session.in_transaction else _sequence("MAIL comes first")


def _before_chunks(session: Session, _parameters: ServerParameters) -> Refused | None:
    # RFC 3030 2: DATA and BDAT do not mix, and the envelope is closed by the first BDAT.
    return _sequence("The message has begun by BDAT: go on with it, or use RSET") if session.chunking else None


def _not_binary(session: Session, _parameters: ServerParameters) -> Refused | None:
    # RFC 3030 3
    return _sequence("A BINARYMIME message comes by BDAT") if session.body is BodyType.BINARY else None


def _has_recipients(session: Session, parameters: ServerParameters) -> Refused | None:
    if session.recipients:
        return None
    # RFC 5321 4.1.1.4 and 3.3 allow both codes; RFC 2033 4.2 wants 503.
    return _sequence("There are no valid recipients", 503 if parameters.flavor is Flavor.LMTP else 554)


def _messages_left(session: Session, parameters: ServerParameters) -> Refused | None:
    # RFC 9422: MAILMAX counts MAIL commands. The client may come back at once with a new session.
    if session.messages < parameters.max_messages:
        return None
    text = f"At most {parameters.max_messages} messages in a session: connect again for more"
    return refused("limit.messages", 421, "4.7.0", text)


def _recipients_left(session: Session, parameters: ServerParameters) -> Refused | None:
    # RFC 5321 4.5.3.1.10. RFC 9422's RCPTMAX would allow to count refused ones too; the owner counts those as errors.
    if session.recipients < parameters.max_recipients:
        return None
    text = f"At most {parameters.max_recipients} recipients of a message: send it to the others separately"
    return refused("limit.recipients", 452, "4.5.3", text)


#: What each verb needs to be there at all, which is asked first; of what is not there HELP does not speak. Those that are not
#: here are always there.
_PRESENCE: Mapping[str, Check] = {
    "HELO": _smtp_hello,
    "EHLO": _smtp_hello,
    "LHLO": _lmtp_hello,
    "XCLIENT": _front_end,
    "ETRN": _turn_offered,
    "STARTTLS": _tls_possible,
    "AUTH": _auth_possible,
}

#: What each verb needs to have its turn, in the order in which it is asked. Those that are not here may be said at any time
#: (RFC 5321 4.1.4).
_RULES: Mapping[str, tuple[Check, ...]] = {
    "XCLIENT": (_outside_transaction,),
    # RFC 1985 5: not while a transaction is open.
    "ETRN": (_after_hello, _outside_transaction),
    "STARTTLS": (_after_hello,),
    "AUTH": (_after_hello, _outside_transaction),
    "MAIL": (_after_hello, _outside_transaction, _logged_in, _messages_left),
    "RCPT": (_in_transaction, _before_chunks, _recipients_left),
    "DATA": (_in_transaction, _before_chunks, _not_binary, _has_recipients),
    "BDAT": (_in_transaction, _has_recipients),
}
