"""One answer made of several."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.app.crew.answers import blocks_of, merged, merged_status


class MergedTests(SynchronousTestCase):
    """Whatever workers say."""

    def test_merged(self) -> None:
        """Each kind of value in its way."""
        for values, expected in (
            ([], None),
            ([None, None], None),
            ([1, None, 2.5], 3.5),
            ([False, True], True),
            ([False, False], False),
            ([[1], [], [2]], [1, 2]),
            (["same", "same"], "same"),
            (["one", "other"], "one, other"),
            ([{"a": 1, "b": {"c": [1]}}, {"a": 2, "b": {"c": [2]}, "d": "x"}], {"a": 3, "b": {"c": [1, 2]}, "d": "x"}),
            ([1, "x"], "1, x"),
        ):
            self.assertEqual(merged(values), expected)

    def test_status(self) -> None:
        """The next look is the earliest of all; nobody's status is empty."""
        parts = [
            {"queue_active": 1, "queue_next_look_at": "2026-01-02T00:00:00.000Z"},
            {"queue_active": 2, "queue_next_look_at": "2026-01-01T00:00:00.000Z"},
            {"queue_active": 0, "queue_next_look_at": None},
        ]
        self.assertEqual(merged_status(parts), {"queue_active": 3, "queue_next_look_at": "2026-01-01T00:00:00.000Z"})
        self.assertEqual(merged_status([]), {"queue_next_look_at": None})

    def test_longest_turn(self) -> None:
        """Turns are counted together, and the longest of all is the longest."""
        parts = [{"long_turns": 1, "longest_turn_ms": 70}, {"long_turns": 2, "longest_turn_ms": 60}]
        merged = merged_status(parts)
        self.assertEqual((merged["long_turns"], merged["longest_turn_ms"]), (3, 70))

    def test_blocks(self) -> None:
        """Whom one worker has listed is there, once, and for as long as whoever knows most says; counts are those of one."""

        def row(network: str, since: str, until: str | None) -> dict[str, str | None]:
            return {"network": network, "since": f"2026-01-01T00:00:0{since}Z", "until": until}

        parts = [
            {"blocked": [row("192.0.2.1", "3", "b"), row("192.0.2.2", "2", None)], "logins": [{"failures": 3}]},
            {
                "blocked": [row("192.0.2.1", "3", "c"), row("192.0.2.2", "2", "d"), row("192.0.2.3", "1", "a")],
                "logins": [{"failures": 3}],
            },
            {"blocked": [row("192.0.2.1", "3", "a"), row("192.0.2.3", "1", None)], "logins": []},
        ]
        self.assertEqual(
            blocks_of(parts),
            {
                "blocked": [row("192.0.2.3", "1", None), row("192.0.2.2", "2", None), row("192.0.2.1", "3", "c")],
                "logins": [{"failures": 3}],
            },
        )
