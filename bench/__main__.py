"""
``python -m bench``: the figures of docs/performance.md.

Hermes and another server take turns within each row; the figure is the median over the pairs, with the smallest and the greatest
ratio beside it. Every row counts what arrived and compares bodies.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import traceback
from pathlib import Path

from bench import table
from bench.pairs import Options

#: What stands between each pair of markers, and the module that measures it.
SECTIONS = {
    "smtp": "bench.smtp_rows",
    "recipients": "bench.recipient_rows",
    "aiosmtpd": "bench.aiosmtpd_rows",
    "pop3": "bench.pop3_rows",
    "collect": "bench.collect_rows",
    "idle": "bench.idle_rows",
    "sizes": "bench.size_rows",
    "steady": "bench.steady_rows",
}


def main() -> int:
    """Measure, print, and write what was measured."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"{', '.join(SECTIONS)} (default: all)")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of measurements in each row (default: 5)")
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        help="with 0.1 a tenth of everything, to try rows out; then the page stays as it is",
    )
    parser.add_argument("--pictures", type=Path, help="where pictures go that are not for the page")
    parser.add_argument("--workers", default="1", help="what [hermes] workers says (default: 1)")
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.sections if name not in SECTIONS]:
        parser.error(f"there is no section {unknown[0]}")
    options = Options(chosen.pairs, chosen.scale, chosen.workers)
    failures: list[str] = []
    for name in chosen.sections or SECTIONS:
        try:
            with tempfile.TemporaryDirectory(prefix="hermes-bench-") as directory:
                section = importlib.import_module(SECTIONS[name]).measure(options, Path(directory))
        except (Exception, SystemExit) as fault:
            # The others take long enough that they are measured all the same.
            if isinstance(fault, Exception):
                traceback.print_exc()
            failures.append(f"{name} was not measured: {fault}")
            continue
        print("\n".join(["", *section.lines(), ""]), flush=True)
        if options.scale == 1:
            table.write(section)
        elif chosen.pictures and section.picture is not None:
            section.picture(chosen.pictures / section.picture_name)
        failures += [f"{name}: {section.failure}"] if section.failure else []
    print("\n".join(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
