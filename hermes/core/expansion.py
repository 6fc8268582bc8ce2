"""Where an address leads when aliases, groups, forwards and the like have been followed to their ends."""

from __future__ import annotations

import enum

import attrs


class Means(enum.Enum):
    """By what one address becomes others; the values are words for people."""

    ALIAS = "alias"
    SYNONYM = "synonym"
    GROUP = "group"
    DIRECTORY_GROUP = "group of a directory service"
    NAME_FORM = "form of the name"
    DOMAIN_MAILBOX = "domain mailbox"
    CATCH_ALL = "catch-all"
    POSTMASTER = "postmaster"
    FORWARD = "forward"
    RETURN = "way back of a rewritten sender"


class Kind(enum.Enum):
    """What is at the end."""

    MAILBOX = "mailbox"  #: of the account ``value``
    OUTSIDE = "outside"  #: an address at another server
    NOBODY = "nobody"  #: an address of ours that does not exist
    DISABLED = "disabled"  #: one whose account is disabled
    FILE = "FILE"  #: the sender gets the text of the file ``value``
    TEMPLATE = "TFILE"  #: the same, with substitutions
    PUBLIC = "PUBLIC"  #: the public folder ``value``
    PROGRAM = "program"  #: the command ``value``
    RULES = "FILTER"  #: the set of rules in the file ``value`` says


@attrs.frozen
class Step:
    """One step: ``address`` leads to ``targets``, as they are written at ``place`` (file and line, or setting)."""

    depth: int
    address: str
    means: Means
    place: str
    targets: tuple[str, ...]


@attrs.frozen
class Target:
    """
    One end. ``address`` is the recipient's, in full; ``place`` says where the end is written, for what is no address.

    ``forwarded`` says that an account's own forward led there.
    """

    kind: Kind
    address: str
    value: str = ""
    place: str = ""
    forwarded: bool = False


@attrs.frozen
class Expansion:
    """
    All that an address leads to. ``problem`` says why it could not be followed to all ends, for the administrator.

    Each end is there once, by whatever ways it is reached. ``left_out`` are disabled members of a directory service's groups:
    the mail goes past them.
    """

    address: str
    steps: tuple[Step, ...]
    targets: tuple[Target, ...]
    problem: str = ""
    left_out: tuple[Target, ...] = ()

    @property
    def is_plain(self) -> bool:
        """True when the address stands for itself."""
        return not self.steps and not self.problem

    def lines(self) -> list[str]:
        """The whole expansion for people: every step with its place, then every end."""
        lines = [
            f"{'  ' * step.depth}{step.address} -> {', '.join(step.targets)}  ({step.means.value}, {step.place})"
            for step in self.steps
        ]
        # Before the ends: of very many lines the trace keeps the first.
        lines += [f"-- {target.address} is left out: the account is disabled" for target in self.left_out]
        lines += [f"=> {_end(target)}" for target in self.targets]
        return [*lines, f"!! {self.problem}"] if self.problem else lines


def _end(target: Target) -> str:
    match target.kind:
        case Kind.MAILBOX:
            return f"the mailbox of {target.value}"
        case Kind.OUTSIDE:
            return f"{target.address} at another server"
        case Kind.NOBODY:
            return f"{target.address}, which does not exist"
        case Kind.DISABLED:
            return f"{target.address}, which is disabled"
        case Kind.FILE | Kind.TEMPLATE:
            return f"an answer to the sender with the text of {target.value}"
        case Kind.PUBLIC:
            return f"the public folder {target.value}"
        case Kind.RULES:
            return f"whatever the rules in {target.value} say"
        case _:
            return f"the program {target.value}"
