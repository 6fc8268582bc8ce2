"""An address followed to all its ends: through aliases, groups and forwards, whose loops are found and whose depth is limited."""

from __future__ import annotations

from hermes.core.address import domain_key, split
from hermes.core.expansion import Expansion, Kind, Means, Step, Target
from hermes.directory.accounts import Record, address_key, local_part_key
from hermes.directory.lookup import Elsewhere, Hop, Nobody, Owner, World, without_details

#: Ends of one address, and steps to them. A list that is longer is a mailing list; and each end is a row in the queue.
MAX_ENDS = 10_000

_SPECIAL = {"FILE": Kind.FILE, "TFILE": Kind.TEMPLATE, "PUBLIC": Kind.PUBLIC, "FILTER": Kind.RULES}

#: Only there is ``|command`` a command: the sender of a message, which comes back in a rewritten address, may be called so too,
#: and so may somebody in a directory service who writes the own address.
_WRITTEN_BY_ADMINISTRATORS = frozenset({Means.ALIAS, Means.GROUP})

_Identity = tuple[Means, str]

#: Ends, by what tells them apart; a dict for its order.
_Ends = dict[tuple[Kind, str], Target]


class Walk:
    """One walk. Without ``forwards`` it ends at accounts, wherever these have their mail sent."""

    def __init__(self, world: World, *, forwards: bool) -> None:
        self._world = world
        self._forwards = forwards
        self._steps: list[Step] = []
        self._targets: _Ends = {}
        self._left_out: _Ends = {}
        self._walked: set[_Identity] = set()
        self._problem = ""

    def expansion(self, address: str) -> Expansion:
        """Follow an address."""
        self._follow(address, split(address)[1], (), forwarded=False)
        # Where nobody else would get it, they stay: mail must not vanish.
        targets = self._targets or self._left_out
        left_out = tuple(target for which, target in self._left_out.items() if which not in targets)
        return Expansion(address, tuple(self._steps), tuple(targets.values()), self._problem, left_out)

    def _follow(self, text: str, domain: str, chain: tuple[_Identity, ...], *, forwarded: bool) -> None:
        """Follow what is written as ``text``, which ``chain`` has led to; ``domain`` is meant where it names none."""
        if self._problem:
            return
        means = chain[-1][0] if chain else None
        if means in _WRITTEN_BY_ADMINISTRATORS and self._special(text, chain[-1][1]):
            return
        # A synonym is one level (mercury.md 3.5): it stands for a user.
        found = self._look(text, domain, redirected=means is not Means.SYNONYM)
        # What names itself means the mailbox of that name, or the address that it would be without itself.
        if isinstance(found, Hop) and chain and found.identity == chain[-1]:
            found = self._look(text, domain, redirected=False)
        match found:
            case Elsewhere():
                self._end(Target(Kind.OUTSIDE, text, forwarded=forwarded))
            case Nobody():
                self._end(Target(Kind.NOBODY, text if "@" in text else f"{text}@{domain}"))
            case Owner(record, means):
                self._owner(text, record, means, chain)
            case Hop():
                self._hop(text, found, domain, chain)

    def _special(self, text: str, place: str) -> bool:
        """Take an end that is no address; False when it is one."""
        kind, colon, value = text.partition(":")
        if text.startswith("|"):
            self._end(Target(Kind.PROGRAM, "", text[1:], place))
        elif colon and kind in _SPECIAL:
            self._end(Target(_SPECIAL[kind], "", value, place))
        else:
            return False
        return True

    def _look(self, text: str, domain: str, *, redirected: bool = True) -> Hop | Owner | Elsewhere | Nobody:
        if "@" in text or not domain:
            return self._world.look(text, redirected=redirected)
        return self._world.look_for_name(text, domain_key(domain), redirected=redirected)

    def _owner(self, text: str, record: Record, means: Means | None, chain: tuple[_Identity, ...]) -> None:
        account = record.account
        place = f"{record.place} [{account.name}]" if record.place else f"account {account.name}"
        address = text if "@" in text else self._world.main_address(record)
        if means is None and record.keeper is not None and not _is_own(address, record):
            means = Means.SYNONYM
        if means is not None:
            self._steps.append(Step(len(chain), text, means, place, (account.name,)))
        if account.disabled:
            # Whoever disables an account takes it out of no group, and each message to one would bring its sender a report.
            # Whom a file names stays an end, for the administrator to mend.
            member = bool(chain) and chain[-1][0] is Means.DIRECTORY_GROUP
            self._end(Target(Kind.DISABLED, address, account.name), self._left_out if member else self._targets)
            return
        own = (Means.FORWARD, place)
        if not self._forwards or not account.forward or (chain and chain[-1] == own):
            self._end(Target(Kind.MAILBOX, address, account.name))
            return
        if account.deliver_also:
            self._end(Target(Kind.MAILBOX, address, account.name))
        self._hop(address, Hop(*own, account.forward), split(address)[1], chain)

    def _hop(self, text: str, hop: Hop, domain: str, chain: tuple[_Identity, ...]) -> None:
        identity = hop.identity
        # The way back of a sender is as many ways as there are senders.
        if identity in chain and hop.means is not Means.RETURN:
            self._problem = f"{text} is in a loop: {hop.means.value} in {hop.place} leads back to itself"
            return
        if len(chain) >= self._world.rules.depth:
            self._problem = (
                f"{text} is more than {self._world.rules.depth} steps away ({hop.means.value} in {hop.place}):"
                " make the way shorter, or raise depth in [directory]"
            )
            return
        if identity in self._walked and hop.means is not Means.RETURN:
            return
        self._walked.add(identity)
        self._steps.append(Step(len(chain), text, hop.means, hop.place, hop.targets))
        domain = split(text)[1] or domain or next(iter(self._world.rules.domains), "")
        for target in hop.targets:
            self._follow(target, domain, (*chain, identity), forwarded=hop.means is Means.FORWARD)

    def _end(self, target: Target, ends: _Ends | None = None) -> None:
        named = target.value if target.kind not in {Kind.OUTSIDE, Kind.NOBODY} else address_key(target.address)
        (self._targets if ends is None else ends).setdefault((target.kind, named), target)
        if len(self._targets) + len(self._left_out) > MAX_ENDS:
            self._problem = f"it leads to more than {MAX_ENDS} recipients"


def _is_own(address: str, record: Record) -> bool:
    """Whether an account lists the address or is called so; what else leads to one of a directory service is a synonym there."""
    local_part, domain = split(address)
    listed = {address_key(own) for own in record.account.addresses or (f"{record.account.name}@{domain}",)}
    return any(address_key(f"{part}@{domain}") in listed for part in without_details(local_part_key(local_part)))
