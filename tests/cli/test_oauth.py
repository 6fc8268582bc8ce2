"""Tests of ``hermes oauth providers``; for the rest of ``hermes oauth`` see ``tests/app/test_oauth.py``."""

from __future__ import annotations

from hermes.config.providers import providers
from tests.support.command import CommandTestCase


class ProvidersTests(CommandTestCase):
    """What is known of providers needs no configuration."""

    def test_table(self) -> None:
        """Each fact is there, with the page that has it, and where nobody has read that it says so."""
        lines = self.run_hermes("oauth", "providers").output.splitlines()
        facts = [(name, key) for name, each in providers().items() for key in each.facts]
        self.assertEqual([tuple(line.split()[:2]) for line in lines[1:]], facts)
        unread = sum(fact.read is None for each in providers().values() for fact in each.facts.values())
        self.assertEqual(sum(line.endswith("not read yet") for line in lines), unread)

    def test_json(self) -> None:
        """The same for programs: values as they are, days as text, and nothing where nobody has read the page."""
        rows = self.run_json("oauth", "providers")
        known = {(name, key): fact for name, each in providers().items() for key, fact in each.facts.items()}
        self.assertEqual(
            {(row["preset"], row["fact"]): row["value"] for row in rows}, {k: f.value for k, f in known.items()}
        )
        for row in rows:
            day = known[row["preset"], row["fact"]].read
            self.assertEqual(row["read"], None if day is None else day.isoformat())
