"""The list of offenders in a running server: at every listener, over a reload and a restart."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from hermes.app.commands import Commands
from hermes.app.server import Server
from hermes.config.loader import load
from hermes.core.event import Kind
from hermes.policy.exemptions import Exemptions
from hermes.policy.rates import limits_of
from tests.support.ports import free_port
from tests.support.server import ServerTestCase, greeting


class BlocksTests(ServerTestCase):
    """A server with two doors, at which this machine is not exempt: there is no other in a test."""

    def setUp(self) -> None:
        """Take the exemption of loopback away."""
        super().setUp()
        self.patch(Exemptions, "why", lambda self, peer: "")
        self.smtp, self.pop3 = (("127.0.0.1", free_port()) for _ in range(2))
        self.doors = f"[smtp]\nlisten = 127.0.0.1:{self.smtp[1]}\n[pop3]\nlisten = 127.0.0.1:{self.pop3[1]}\n"

    async def greetings(self) -> list[str]:
        """What each door says first."""
        return [await deferToThread(greeting, door) for door in (self.smtp, self.pop3)]

    async def test_from_add_to_remove(self) -> None:
        """Who is added is refused by each server in its own words, with an event, until it is removed."""
        events = self.events()
        server = await self.start(self.doors)
        commands = Commands(server)
        added = await commands.call("block.add", {"network": "127.0.0.1", "seconds": 600, "reason": "a test"})
        self.assertEqual((added["network"], added["by"], added["reason"]), ("127.0.0.1", "administrator", "a test"))
        smtp, pop3 = await self.greetings()
        text = "127.0.0.1 is blocked here for another 10m: try again later, or ask anna@example.org to clear it"
        self.assertEqual(smtp, f"421 4.7.0 {text}")
        self.assertEqual(pop3, f"-ERR [SYS/TEMP] {text}")
        refusals = await events.until(Kind.REFUSED, 2)
        self.assertEqual({event.facts["rule"] for event in refusals}, {"offenders.listed"})
        self.assertEqual(server.status()["connections"], 0)
        self.assertEqual(await commands.call("block.list", {}), {"blocked": [added], "logins": []})
        await server.reload()
        self.assertTrue((await self.greetings())[0].startswith("421"))
        self.assertEqual(await commands.call("block.remove", {"subject": "127.0.0.1"}), ["127.0.0.1"])
        self.assertEqual([text[:3] for text in await self.greetings()], ["220", "+OK"])

    async def test_restart(self) -> None:
        """What was listed is listed after a restart."""
        server = await self.start(self.doors)
        server.offenders.report("127.0.0.1", "some.rule", "because")
        await server.service.stopService()
        again = Server(self.path, load(self.path), reactor, self.failures.append)
        self.addCleanup(again.service.stopService)
        await self.begin(again)
        smtp, pop3 = await self.greetings()
        self.assertIn("is blocked here for another 30m", smtp)
        self.assertTrue(pop3.startswith("-ERR [SYS/TEMP]"))

    async def test_rates_over_a_restart(self) -> None:
        """What has been counted of mail in the day counts on after a restart."""
        limit = "[rates]\naddress_messages = 5/day\n"
        server = await self.start(self.doors + limit)
        (rate,) = limits_of(server.settings.rates)["address", "messages"]
        server.rates.count("address", "203.0.113.7", "messages", 4, [rate])
        await server.service.stopService()
        again = Server(self.path, load(self.path), reactor, self.failures.append)
        self.addCleanup(again.service.stopService)
        await self.begin(again)
        (row,) = (await Commands(again).call("block.list", {"rates": True}))["rates"]
        self.assertEqual((row["subject"], row["used"]), ("203.0.113.7", 4))

    async def test_counts(self) -> None:
        """Wrong passwords and rates are counted by the server that runs, shown, and cleared by name, by address, or all."""
        server = await self.start(self.doors + "[limits]\nexempt_loopback = no\n[rates]\naddress_messages = 5/day\n")
        commands = Commands(server)
        server._gate.login_failed("203.0.113.7", "anna")
        (limit,) = limits_of(server.settings.rates)["address", "messages"]
        server.rates.count("address", "203.0.113.7", "messages", 2, [limit])
        lists = await commands.call("block.list", {"rates": True})
        self.assertEqual(
            sorted((row["kind"], row["subject"], row["failures"], row["refused"]) for row in lists["logins"]),
            [
                ("account", "anna", 1, False),
                ("address", "203.0.113.7", 1, False),
                ("network", "203.0.113.0/24", 1, False),
            ],
        )
        (row,) = lists["rates"]
        self.assertEqual((row["subject"], row["used"], row["limit"]), ("203.0.113.7", 2, "5/day"))
        gone = await commands.call("block.remove", {"subject": "203.0.113.7"})
        self.assertEqual(gone, ["address 203.0.113.7", "rates of address 203.0.113.7"])
        self.assertEqual(await commands.call("block.remove", {"subject": "anna"}), ["account anna"])
        self.assertEqual(await commands.call("block.clear", {}), ["network 203.0.113.0/24"])

    async def refused(self, commands: Commands, command: str, **arguments: Any) -> str:
        """Why a command is refused."""
        try:
            await commands.call(command, arguments)
        except (ValueError, LookupError) as error:
            return str(error.args[0])
        return self.fail(f"{command} {arguments} was done")

    async def test_orders(self) -> None:
        """What cannot be done is refused with a remedy."""
        commands = Commands(await self.start(self.doors))
        await commands.call("block.add", {"network": "203.0.113.0/24"})
        for command, arguments, text in (
            ("block.add", {"network": "anna"}, "is not an address"),
            ("block.add", {}, "is not an address"),
            ("block.add", {"network": "203.0.113.7", "seconds": 0}, "between one second and ten years"),
            ("block.add", {"network": "203.0.113.7", "seconds": 10**12}, "between one second and ten years"),
            ("block.add", {"network": "203.0.113.7", "seconds": True}, "between one second and ten years"),
            ("block.remove", {"subject": "203.0.113.7"}, "is in 203.0.113.0/24, which is blocked as a whole"),
            ("block.remove", {"subject": "anna"}, "anna is not blocked, and nothing is counted against it"),
            ("block.remove", {}, "is not blocked"),
            (
                "block.remove",
                {"subject": "198.51.100.1"},
                "198.51.100.1 is not blocked, and nothing is counted against it",
            ),
        ):
            self.assertIn(text, await self.refused(commands, command, **arguments))
        await commands.call("block.add", {"network": "203.0.112.1", "reason": "x\n\x1b[2J" + "y" * 500})
        (_, row) = (await commands.call("block.list", {}))["blocked"]
        self.assertEqual(len(row["reason"]), 200)
        self.assertTrue(row["reason"].isprintable())
        self.assertEqual(await commands.call("block.clear", {}), [])
