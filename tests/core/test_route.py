"""The table of routes: which one takes an address, and where it leads."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.account import Account, Local, Redirected, Remote, Unknown
from hermes.core.route import Route, RouteTable, Whose, whose


class RouteTests(SynchronousTestCase):
    """choose() and destination()."""

    def names(self, table: RouteTable, address: str, sender: str = "a@example.org") -> list[str | None]:
        """The names of the routes that take an address of ours, one that is unknown here, and one elsewhere."""
        chosen = [table.choose(address, sender, each) for each in (Whose.OURS, Whose.UNKNOWN, Whose.ELSEWHERE)]
        return [route.name if route is not None else None for route in chosen]

    def test_first(self) -> None:
        """The first that fits decides; recipients and sender must both fit."""
        table = RouteTable(
            [
                Route("one", ("bob@example.net",), (), "hold"),
                Route("two", ("example.net",), ("*.example.com", "<>"), "discard"),
                Route("three", ("example.net", "example.com"), (), "lmtp", "127.0.0.1:24"),
            ]
        )
        self.assertEqual(self.names(table, "BOB@example.net"), ["one", None, "one"])
        self.assertEqual(self.names(table, "eve@example.net"), ["three", None, "three"])
        self.assertEqual(self.names(table, "eve@example.net", ""), ["two", None, "two"])
        self.assertEqual(self.names(table, "eve@example.org"), [None] * 3)
        self.assertEqual(self.names(RouteTable(), "eve@example.org"), [None] * 3)

    def test_whose(self) -> None:
        """Ways out of the house are for mail for others; nobody unknown is made known but by a route that is open to all."""
        for agent, expected in (
            *((out, [None, None, "r"]) for out in ("smarthost", "direct")),
            *((other, ["r", None, "r"]) for other in ("lmtp", "pipe", "hold", "discard", "refuse")),
        ):
            self.assertEqual(self.names(RouteTable([Route("r", ("*",), (), agent)]), "x@example.org"), expected)
        table = RouteTable([Route("r", ("example.org",), (), "lmtp", open_to_all=True)])
        self.assertEqual(self.names(table, "x@example.org"), ["r"] * 3)
        account = Account("a", ())
        for resolution, expected_whose in (
            (Local(account), Whose.OURS),
            (Redirected("a@example.org"), Whose.OURS),
            (Unknown("a@example.org"), Whose.UNKNOWN),
            (Remote("example.net"), Whose.ELSEWHERE),
        ):
            self.assertIs(whose(resolution), expected_whose)

    def test_postmaster(self) -> None:
        """The postmaster of a domain of ours gets his mail, whatever the table says (RFC 5321 4.5.1)."""
        table = RouteTable([Route("r", ("*",), (), "refuse", "No", open_to_all=True)])
        self.assertEqual(self.names(table, "PostMaster@example.org"), [None, None, "r"])

    def test_released(self) -> None:
        """What has been released is not held again, but goes by the next route that fits."""
        table = RouteTable([Route("one", ("*",), (), "hold"), Route("two", ("*",), (), "discard")])
        route = table.choose("x@example.net", "a@example.org", Whose.ELSEWHERE, released=True)
        assert route is not None
        self.assertEqual(route.name, "two")

    def test_destinations(self) -> None:
        """What the router writes for each way."""
        for agent, argument, expected in (
            ("smarthost", "office", "smarthost:office"),
            ("direct", "", "direct:example.net"),
            ("lmtp", "unix:/run/lmtp", "lmtp:unix:/run/lmtp"),
            ("pipe", "/bin/cat > x", "pipe:/bin/cat > x"),
            ("hold", "", "hold:r"),
            ("discard", "", "discard:route.r"),
            ("refuse", "Go away", "refuse:r"),
        ):
            self.assertEqual(Route("r", (), (), agent, argument).destination("example.net"), expected)

    def test_named(self) -> None:
        """A route is found by its name, while it is there."""
        table = RouteTable([Route("r", (), (), "hold")])
        self.assertEqual((table.named("r"), table.named("x")), (Route("r", (), (), "hold"), None))
