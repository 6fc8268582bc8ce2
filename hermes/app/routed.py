"""The agents that only a table of routes leads to."""

from __future__ import annotations

from typing import Any

from hermes.config.schema import Settings
from hermes.config.sections.routes import way_of
from hermes.core.route import RouteTable
from hermes.interfaces import IDeliveryAgent
from hermes.queue.routed import REFUSE, Refuse
from hermes.services.program_delivery import ProgramDelivery


def routed_agents(
    settings: Settings, routes: RouteTable, lmtp: IDeliveryAgent, reactor: Any
) -> dict[str, IDeliveryAgent]:
    """Those that some route needs, by the word before the colon of a destination: what none needs is routed anew."""
    ways = [way_of(each.to) for each in settings.route.values()]
    agents = {agent for agent, _ in ways}
    commands = {argument for agent, argument in ways if agent == "pipe"}

    async def allowed() -> set[str]:
        return commands

    made: dict[str, IDeliveryAgent] = {}
    if "lmtp" in agents:
        made["lmtp"] = lmtp
    if REFUSE in agents:
        made[REFUSE] = Refuse(routes)
    if commands:
        made["pipe"] = ProgramDelivery(reactor, allowed, settings.hermes.data, settings.directory.program_time)
    return made
