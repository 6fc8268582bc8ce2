"""Tests of ``hermes metrics``."""

from __future__ import annotations

from hermes.core.metric import counter, gauge
from tests.support.command import CommandTestCase, FakeServer


class MetricsTests(CommandTestCase):
    """What is printed."""

    def test_text(self) -> None:
        """The text that Prometheus reads, with nothing before or after it."""
        config = self.site()
        families = [gauge("hermes_x", "X.", 1).as_json(), counter("hermes_y_total", "Y.", 2).as_json()]
        server = FakeServer(self, config, {"ok": True, "result": families})
        result = self.run_hermes("metrics", "-c", config)
        self.assertEqual(
            result.stdout,
            "# HELP hermes_x X.\n# TYPE hermes_x gauge\nhermes_x 1.0\n"
            "# HELP hermes_y_total Y.\n# TYPE hermes_y_total counter\nhermes_y_total 2.0\n",
        )
        self.assertEqual(server.questions, [{"command": "metrics", "arguments": {}}])

    def test_json(self) -> None:
        """The same for programs."""
        config = self.site()
        families = [gauge("hermes_x", "X.", 1).as_json()]
        FakeServer(self, config, {"ok": True, "result": families})
        self.assertEqual(self.run_json("metrics", "-c", config), families)

    def test_down(self) -> None:
        """Without a server there is nothing on the output, and the exit code says so: no old file is replaced by half a one."""
        result = self.run_hermes("metrics", "-c", self.site(), exit_code=1)
        self.assertEqual(result.stdout, "")
