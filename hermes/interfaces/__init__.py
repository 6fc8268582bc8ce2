"""
The seams of Hermes: what the parts of the engine room promise to one another and to the services.

Every method that may have to wait is a coroutine method. Expected mail outcomes are values (:mod:`hermes.core.outcome`);
an exception is a fault, and whoever meets one answers "try later".

There is a file for each subject. All is imported from here, so that nobody needs to know in which of them a seam stands:
``from hermes.interfaces import ISpool``.
"""

from hermes.interfaces.control import IControl
from hermes.interfaces.credentials import IBearerToken, IPasswordShown, IProvedAccount, TokenDeniedError
from hermes.interfaces.delivery import IDeliveryAgent, IPolicyStore, IRelayManager, IRouter
from hermes.interfaces.directory import IDirectory, IExpander, IPasswordChange, IRuleSets, IScramKeys
from hermes.interfaces.faults import TooBusyError, UnavailableError
from hermes.interfaces.mailbox import IMailboxes, IStreamingMailbox, MailboxDepartedError, MailboxInUseError
from hermes.interfaces.network import IFetcher, IResolver, IServerTLS, ITLSResults
from hermes.interfaces.peers import IAccess, IGate, IOffenders, IOffenderStore
from hermes.interfaces.policy import ICallAhead, ICheck, IPolicy, IRelayPolicy
from hermes.interfaces.reception import IIncomingMessage, IReception
from hermes.interfaces.schedule import ISchedule
from hermes.interfaces.signing import ISignatures, ISigner
from hermes.interfaces.spool import IContentReader, IJournal, ISpool, ISpoolWriter, SpoolFullError
from hermes.interfaces.work import IGroupWorker

__all__ = [
    "IAccess",
    "IBearerToken",
    "ICallAhead",
    "ICheck",
    "IContentReader",
    "IControl",
    "IDeliveryAgent",
    "IDirectory",
    "IExpander",
    "IFetcher",
    "IGate",
    "IGroupWorker",
    "IIncomingMessage",
    "IJournal",
    "IMailboxes",
    "IOffenderStore",
    "IOffenders",
    "IPasswordChange",
    "IPasswordShown",
    "IPolicy",
    "IPolicyStore",
    "IProvedAccount",
    "IReception",
    "IRelayManager",
    "IRelayPolicy",
    "IResolver",
    "IRouter",
    "IRuleSets",
    "ISchedule",
    "IScramKeys",
    "IServerTLS",
    "ISignatures",
    "ISigner",
    "ISpool",
    "ISpoolWriter",
    "IStreamingMailbox",
    "ITLSResults",
    "MailboxDepartedError",
    "MailboxInUseError",
    "SpoolFullError",
    "TokenDeniedError",
    "TooBusyError",
    "UnavailableError",
]
