"""``hermes alias``, ``hermes user forward``; ``hermes check`` and ``hermes explain`` about addresses that stand for others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hermes.directory.sources.forward_file import parse_forward
from tests.support.command import CommandTestCase


class AliasTestCase(CommandTestCase):
    """A site with anna, joe and a file of aliases."""

    def make(self, aliases: str, more: str = "") -> str:
        """Make it; the path of its configuration."""
        config = self.site(more)
        for name in ("anna", "joe"):
            self.run_hermes("user", "add", "-c", config, name, "--generate", "--full-name", f"A Smith {name}")
        self.aliases = Path(config).parent / "data" / "aliases"
        self.aliases.write_text(aliases)
        return config


class AliasTests(AliasTestCase):
    """``hermes alias list``."""

    def test_list(self) -> None:
        """Every entry with its file and line, or those with a word in them; remarks beside."""
        config = self.make("a == anna\nteam: anna, joe@example.net\na == joe\n")
        rows = self.run_json("alias", "list", "-c", config)
        self.assertEqual(rows[1], _row("team", ["anna", "joe@example.net"], f"{self.aliases}:2"))
        self.assertEqual(self.run_json("alias", "list", "-c", config, "JOE@"), rows[1:])
        result = self.run_hermes("alias", "list", "-c", config)
        self.assertIn("anna, joe@example.net", result.stdout)
        self.assertIn(f"{self.aliases}:3", result.stderr)

    def test_none(self) -> None:
        """No file is no mistake; one with a mistake is told with its line."""
        config = self.make("")
        self.assertEqual(self.run_hermes("alias", "list", "-c", config).stdout, "There are none.\n")
        self.aliases.write_text("x ==\n")
        result = self.run_hermes("alias", "list", "-c", config, exit_code=1)
        self.assertIn(f"{self.aliases}:1: x stands for nothing", result.stderr)


class ExplainTests(AliasTestCase):
    """``hermes explain --to``."""

    def test_expansion(self) -> None:
        """Without --ip a stranger asks; every step has its file and line, every end a line."""
        config = self.make("team: joe, info, x@example.net, gone\ninfo == anna@example.org\n")
        self.run_hermes("user", "forward", "-c", config, "--deliver-also", "joe", "joe@example.com")
        (step,) = self.run_json("explain", "-c", config, "--to", "team@example.org")[-1:]
        lines = step["expansion"]
        self.assertEqual(lines[0], f"team@example.org -> joe, info, x@example.net, gone  (alias, {self.aliases}:1)")
        accounts = self.aliases.parent / "accounts.ini"
        line = accounts.read_text().splitlines().index("[joe]") + 1
        self.assertEqual(lines[1], f"  joe@example.org -> joe@example.com  (forward, {accounts}:{line} [joe])")
        self.assertEqual(lines[2], f"  info -> anna@example.org  (alias, {self.aliases}:2)")
        self.assertEqual(len([each for each in lines if each.startswith("=> ")]), 5)
        stdout = self.run_hermes("explain", "-c", config, "--to", "team@example.org").stdout
        self.assertIn("    => the mailbox of anna\n", stdout)

    def test_plain(self) -> None:
        """An address that stands for itself has nothing to follow; with neither --ip nor --to there is no question."""
        config = self.make("")
        self.assertEqual(self.run_json("explain", "-c", config, "--to", "anna@example.org")[-1]["expansion"], [])
        self.run_hermes("explain", "-c", config, exit_code=2)

    def test_loop(self) -> None:
        """A loop is refused, and shown."""
        config = self.make("a == b\nb == a\n")
        (step,) = self.run_json("explain", "-c", config, "--to", "a@example.org", exit_code=1)[-1:]
        self.assertTrue(step["reply"].startswith("451 4.4.6"))
        self.assertTrue(step["expansion"][-1].startswith("!! "))

    def test_rules(self) -> None:
        """The rules that an address stands for are shown, each with its place."""
        config = self.make("sales: joe, FILTER:sales.rul\n")
        rules = self.aliases.parent / "sales.rul"
        rules.write_text('# ours\nIf header "S" contains "order" Move "joe"\nDisabled Always Exit\nAlways Delete\n')
        (step,) = self.run_json("explain", "-c", config, "--to", "sales@example.org")[-1:]
        self.assertEqual(
            step["expansion"][-4:],
            [
                "=> the mailbox of joe",
                f"=> whatever the rules in {rules} say",
                f'  If header "S" contains "order" Move "joe"  ({rules}:2)',
                f"  Always Delete  ({rules}:4)",
            ],
        )

    def test_mistake(self) -> None:
        """A file that cannot be used is told instead."""
        config = self.make("a ==\n")
        result = self.run_hermes("explain", "-c", config, "--to", "a@example.org", exit_code=1)
        self.assertIn(f"{self.aliases}:1: ", result.stderr)


class CheckTests(AliasTestCase):
    """``hermes check``."""

    def findings(self, config: str, about: str, exit_code: int = 0) -> list[tuple[str, str]]:
        """Level and text of what is said about one thing."""
        found: list[dict[str, Any]] = self.run_json("check", "-c", config, exit_code=exit_code)
        return [(each["level"], each["text"]) for each in found if each["about"] == about]

    def test_dead_ends(self) -> None:
        """What leads nowhere is told with file and line."""
        config = self.make("a == b\nb == a\nc == gone\nd == FILE:gone.txt\ne == anna\nf == off\n")
        accounts = self.aliases.parent / "accounts.ini"
        accounts.write_text(accounts.read_text() + "[off]\ndisabled = yes\n[far]\nforward = gone@example.org\n")
        level, text = zip(*self.findings(config, "aliases"), strict=True)
        self.assertEqual(set(level), {"ok", "warn"})
        said = "\n".join(text)
        for part in (":1", ":2", f"{self.aliases}:3", f"{self.aliases}:4", f"{self.aliases}:6", f"{accounts}:"):
            self.assertIn(part, said)
        self.assertNotIn("aliases:5", said)
        self.aliases.write_text("nonsense\n")
        self.assertEqual(self.findings(config, "aliases", 1)[0][0], "fail")

    def test_rules(self) -> None:
        """A set of rules that cannot be carried out is a failure with its line; one that writes to nobody is warned of."""
        config = self.make("sales == FILTER:sales.rul\n")
        rules = self.aliases.parent / "sales.rul"
        rules.write_text('Always Copy "anna"\nAlways Copy "gone"\n')
        (_, (level, text)) = self.findings(config, "aliases")
        self.assertEqual(level, "warn")
        self.assertIn(f"sent to gone ({rules}:2)", text)
        rules.write_text('Always Copy "anna"\nAlways Print "x"\n')
        ((level, text),) = self.findings(config, "aliases", 1)
        self.assertEqual(level, "fail")
        self.assertIn(f"{self.aliases}:1: FILTER: {rules}:2: Print", text)
        rules.write_text('Always Copy "anna"\nAlways Copy "PUBLIC:x"\n')
        self.assertEqual([level for level, _ in self.findings(config, "aliases")], ["ok"])

    def test_no_way_out(self) -> None:
        """An alias that leads elsewhere needs a way there."""
        config = self.make("far == x@example.net\n")
        self.assertIn("no way out", self.findings(config, "aliases")[-1][1])
        config = self.make("far == x@example.net\n", "[direct]\nenabled = yes\n")
        self.assertEqual([level for level, _ in self.findings(config, "aliases")], ["ok"])

    def test_domains(self) -> None:
        """A domain whose catch-all does not exist."""
        config = self.make("", "[domain:x]\ndomains = example.org\ncatch_all = gone\n")
        self.assertIn("gone@example.org", self.findings(config, "aliases")[-1][1])

    def test_names(self) -> None:
        """Forms that could be two people are told, where forms are addresses."""
        config = self.make("", "[directory]\nname_forms = yes\n")
        self.run_hermes("user", "add", "-c", config, "al", "--generate", "--full-name", "Al Smith")
        self.run_hermes("user", "add", "-c", config, "bo", "--generate", "--full-name", "Alf Smith")
        said = [text for _, text in self.findings(config, "names")]
        self.assertTrue(any(text.startswith("a.smith could be al, bo") for text in said), said)

    def test_postmaster(self) -> None:
        """A postmaster that is an alias is one."""
        config = self.make("anna: joe, x@example.net\n")
        self.run_hermes("user", "remove", "-c", config, "anna")
        self.assertEqual(self.findings(config, "postmaster"), [("ok", "anna@example.org stands for others")])


class ForwardTests(AliasTestCase):
    """``hermes user forward``."""

    def test_forward(self) -> None:
        """Set, changed and taken away; the rest of the file stays as it is."""
        config = self.make("")
        accounts = self.aliases.parent / "accounts.ini"
        before = accounts.read_text()
        self.run_hermes("user", "forward", "-c", config, "Joe", "a@example.net", "b@example.net")
        self.assertIn("\nforward = a@example.net, b@example.net\n", accounts.read_text())
        result = self.run_hermes("user", "forward", "-c", config, "--deliver-also", "joe", "c@example.net")
        self.assertEqual(result.stdout, "mail for joe goes to c@example.net, and into the mailbox\n")
        (row,) = [each for each in self.run_json("user", "list", "-c", config) if each["name"] == "joe"]
        self.assertEqual((row["forward"], row["deliver_also"]), (["c@example.net"], True))
        stays = "mail for joe stays here\n"
        self.assertEqual(self.run_hermes("user", "forward", "-c", config, "--none", "joe").stdout, stays)
        self.assertEqual(accounts.read_text(), before)

    def test_shown(self) -> None:
        """Without an address it is said where the mail goes, and nothing is changed."""
        config = self.make("")
        accounts = self.aliases.parent / "accounts.ini"
        self.assertEqual(self.run_hermes("user", "forward", "-c", config, "joe").stdout, "mail for joe stays here\n")
        said = self.run_hermes("user", "forward", "-c", config, "--deliver-also", "joe", "c@example.net").stdout
        before = accounts.read_text()
        self.assertEqual(self.run_hermes("user", "forward", "-c", config, "Joe").stdout, said)
        self.assertEqual(accounts.read_text(), before)
        self.run_hermes("user", "forward", "-c", config, "nobody", exit_code=1)

    def test_one_way(self) -> None:
        """Addresses, a file and none do not go together."""
        config = self.make("")
        for words in (("--none", "joe", "a@example.net"), ("--from-file", "-", "joe", "a@example.net")):
            result = self.run_hermes("user", "forward", "-c", config, *words, typed="", exit_code=2)
            self.assertIn("one of them", result.stderr)

    def test_from_file(self) -> None:
        """Mercury's file is taken over; a mistake in it is named."""
        config = self.make("")
        text = "; me\nForward-To : a@example.net\nDeliver-Also: Y\n"
        result = self.run_hermes("user", "forward", "-c", config, "--from-file", "-", "joe", typed=text)
        self.assertEqual(result.stdout, "mail for joe goes to a@example.net, and into the mailbox\n")
        result = self.run_hermes("user", "forward", "-c", config, "--from-file", "-", "joe", typed="\nx", exit_code=1)
        self.assertIn("line 2", result.stderr)

    def test_refused(self) -> None:
        """Nobody, no address, and "also" to nowhere."""
        config = self.make("")
        for words in (("nobody", "a@example.net"), ("joe", "nonsense"), ("joe", "a@b@"), ("--deliver-also", "joe")):
            self.run_hermes("user", "forward", "-c", config, *words, exit_code=1)


class ForwardFileTests(SynchronousTestCase):
    """Mercury's file FORWARD."""

    def test_read(self) -> None:
        """Repeated addresses, comments of all kinds, and nothing at all, which protects a mailbox."""
        text = "\ufeff/ a\r\n* b\n# c\n; d\nforward-to: x@example.net\nForward-To : y@example.net\nDELIVER-ALSO : n\n\x1ajunk"
        self.assertEqual(parse_forward(text), (("x@example.net", "y@example.net"), False))
        self.assertEqual(parse_forward(""), ((), False))

    def test_mistakes(self) -> None:
        """Each with its line."""
        for line in ("Forward-To", "Forward-To : joe", "Deliver-Also : perhaps", "Other : x"):
            error = self.assertRaises(ValueError, parse_forward, f"; x\n{line}")
            self.assertTrue(str(error).startswith("line 2: "), error)


def _row(name: str, targets: list[str], place: str) -> dict[str, object]:
    return {"kind": "alias", "name": name, "targets": targets, "place": place}
