"""
A day on which a set of rules says where messages go, ended like each of :mod:`tests.crash.day`.

``python -m tests.crash.rules_scenario BASE`` lives it once for every step there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from typing_extensions import override

from hermes.core.account import Account
from hermes.core.message import NewMessage, QueuedMessage
from hermes.core.report import Fate
from hermes.directory.accounts import Record
from hermes.directory.directory import Directory
from hermes.net.content import ContentReader
from hermes.queue.answering import AnsweredLately
from hermes.queue.expansion import ORDINAL_BITS, Expander
from hermes.queue.router import Router
from hermes.queue.rule_sets import RuleSets
from tests.crash.day import LARGE, SMALL, Day, run
from tests.directory.test_expansion import MemoryRedirects
from tests.support.accounts import MemorySource, passwords_with
from tests.support.maildirs import calling_worker
from tests.support.real_spool import START

RULES = """\
Always Copy "PUBLIC:all"
Always AddHeader "X-Seen: 1"
Always Copy "ann"
Always Forward "far@example.net"
"""

#: The recipient that comes in the place of the address, and where it goes.
COPY = 1 << ORDINAL_BITS

#: The messages that come of it: where each goes, and what stands on top of it.
DERIVED = {
    "mailbox:ann": b"X-Seen: 1\n",
    "direct:example.net": b"Delivered-To: sales@example.org\nX-Seen: 1\nX-Autoforward: 1\n",
}


class RulesDay(Day):
    """Messages to an address with rules, and to somebody who has none."""

    @override
    async def live(self) -> None:
        """A small message and a large one."""
        rules = Path(f"{self.directory}.rul")
        rules.write_text(RULES)
        expander = self.expander(rules)
        await self.spool.open()
        for octets in (SMALL, LARGE):
            queue_id = await self.accept(octets, "sales@example.org", "b@example.com")
            (message,) = await self.spool.select(queue_id)
            message.content = await self.spool.content(queue_id)
            message.recipients[0].destination = "expand:sales@example.org"
            self.note("expanding", queue_id)
            await expander.expand(message, nobody_is_told)
            self.note("expanded", queue_id)
            await self.settle(queue_id, 1)
            await self.settle(queue_id, COPY)
        await self.spool.close()

    def expander(self, rules: Path) -> Expander:
        """As a server has it."""
        directory = Directory(
            MemorySource(Record(Account("ann", ()))),
            ("example.org",),
            "",
            passwords_with(),
            redirects=MemoryRedirects(f"sales == FILTER:{rules.resolve()}"),
        )
        return Expander(
            directory,
            Router(directory, direct_enabled=True),
            self.spool,
            ContentReader(calling_worker()),
            lambda: START,
            hostname="mail.example.org",
            own_domains=("example.org",),
            srs=lambda: None,
            answered=AnsweredLately(),
            rules=RuleSets(calling_worker(), directory.account),
        )


async def nobody_is_told(message: QueuedMessage, fates: Sequence[Fate]) -> list[NewMessage]:
    """The sender has not asked for it."""
    raise AssertionError(fates)


if __name__ == "__main__":
    run(RulesDay)
