"""The command: ``python -m benchmarks.batch`` or ``make bench-batch``; ``compare`` compares with ``.expand()``.

::

    make bench-batch
    make bench-batch ARGS="--rows 200"
    make bench-batch ARGS="compare --sizes 10,30,100"
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.batch.comparison import compare
from benchmarks.batch.faulty_run import run_with_faults
from benchmarks.polling import machine
from tests.support.processes import raise_on_signals


def main() -> int:
    """Read the command line, run the benchmark and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("run", "compare"), default="run")
    parser.add_argument("--rows", type=int, default=2000, help="rows of the run")
    parser.add_argument("--seed", type=int, default=7, help="seed that selects the broken responses")
    parser.add_argument("--quiet", action="store_true", help="break no response and kill no worker")
    parser.add_argument("--sizes", default="10,30,100", help="rows of the comparison")
    parser.add_argument("--home", type=Path, help="directory for all files; it is not removed")
    options = parser.parse_args()
    home = options.home or Path(tempfile.mkdtemp(prefix="json2video-batch-"))
    home.mkdir(parents=True, exist_ok=True)
    print(machine.describe(), flush=True)
    code = 1
    try:
        with raise_on_signals():
            if options.what == "compare":
                code = compare(home, sizes=[int(size) for size in options.sizes.split(",")])
            else:
                code = run_with_faults(home, rows=options.rows, seed=options.seed, quiet=options.quiet)
    finally:
        if code or options.home:
            print(f"Logs are in {home}")
        else:
            shutil.rmtree(home, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
