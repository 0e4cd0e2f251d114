"""The command: ``python -m benchmarks.local`` draws, prints and writes; ``report`` puts the tables into pages.

::

    make bench-local
    make bench-local ARGS="--movies text,ordinary --only ours-preview,ffmpeg --rounds 3"
    python -m benchmarks.local report --into docs/performance.md
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.local import report
from benchmarks.local.contenders import CONTENDERS, Contender
from benchmarks.local.movies import MOVIES, Subject
from benchmarks.polling import machine

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "benchmarks" / "results"
RESULTS = "local.json"
_VERSIONS = ["av", "pillow", "numpy", "moviepy", "imageio-ffmpeg"]


def measure(options: argparse.Namespace) -> int:
    """Draw every movie with every contender, print time and memory, and write the raw numbers and the tables."""
    subjects = [subject for subject in MOVIES if subject.key in options.movies]
    results: dict[str, Any] = {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine.describe(),
        "versions": machine.versions(_VERSIONS),
        "rounds": options.rounds,
        "movies": {subject.key: subject.title for subject in subjects},
        "runs": [],
    }
    with tempfile.TemporaryDirectory(prefix="json2video-bench-") as scratch:
        from benchmarks.local.material import make

        folder = Path(scratch)
        make(folder / "assets")
        for subject in subjects:
            (folder / f"{subject.key}.json").write_text(json.dumps(subject.document))
            for contender in (CONTENDERS[key] for key in options.only):
                if contender.can(subject):
                    results["runs"].append(_measured(subject, contender, folder, rounds=options.rounds))
    options.into.mkdir(parents=True, exist_ok=True)
    (options.into / RESULTS).write_text(json.dumps(results, indent=1) + "\n")
    written = _told(results)
    (options.into / "local.md").write_text(written + "\n")
    print(f"\n{written}\n\nRaw numbers and tables are in {options.into}.")
    return 1 if any(run.get("error") for run in results["runs"]) else 0


def _measured(subject: Subject, contender: Contender, folder: Path, *, rounds: int) -> dict[str, Any]:
    from airflow_json2video.local.drawing.clips import measure as length
    from benchmarks.local.measure import run

    name = f"{subject.key}-{contender.key}"
    out = folder / f"{name}.mp4"
    command = contender.command(movie=folder / f"{subject.key}.json", out=out, assets=folder / "assets")
    costs = [run(command, log=folder / f"{name}.log", cwd=ROOT) for _ in range(rounds)]
    error = next((cost.error for cost in costs if cost.error), "")
    facts = {
        "movie": subject.key,
        "contender": contender.key,
        "seconds": length(out, kind="video") if not error else 0.0,
        "wall": statistics.median(cost.wall for cost in costs),
        "cpu": statistics.median(cost.cpu for cost in costs),
        "memory": max(cost.memory for cost in costs),
        "size": out.stat().st_size if out.exists() else 0,
        **({"error": error} if error else {}),
    }
    print(
        f"{subject.key:>10}  {contender.key:<13} "
        + (
            f"FAILED: {error}"
            if error
            else f"{facts['seconds']:5.1f} s in {facts['wall']:6.2f} s  {facts['seconds'] / facts['wall']:6.2f} x  "
            f"{facts['cpu']:6.2f} s CPU  {facts['memory'] / 2**20:5.0f} MB"
        ),
        flush=True,
    )
    return facts


def _told(results: dict[str, Any]) -> str:
    titles = {
        "speed": "Seconds of video for each second of time",
        "cpu": "Seconds of CPU for each second of video",
        "memory": "Memory at its peak, MB",
    }
    parts = []
    for name, text in report.blocks(results).items():
        parts.append(f"**{titles[name]}**\n\n{text}" if name in titles else text)
    return "\n\n".join(parts)


def fill(options: argparse.Namespace) -> int:
    """Put the tables of the last measurement into pages."""
    results = json.loads((options.results / RESULTS).read_text())
    for page in options.into:
        print(f"{page}: {', '.join(report.put_into(page, results)) or 'no marker'}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ["report"]:
        parser = argparse.ArgumentParser(prog="python -m benchmarks.local report", description=fill.__doc__)
        parser.add_argument("--into", nargs="+", type=Path, required=True, metavar="PAGE")
        parser.add_argument("--results", type=Path, default=FOLDER, metavar="FOLDER", help="where local.json is")
        return fill(parser.parse_args(arguments[1:]))
    parser = argparse.ArgumentParser(prog="python -m benchmarks.local", description=measure.__doc__)
    known = [subject.key for subject in MOVIES]
    parser.add_argument("--movies", type=lambda t: _chosen(t, known), default=known, help=f"of {','.join(known)}")
    keys = list(CONTENDERS)
    parser.add_argument("--only", type=lambda t: _chosen(t, keys), default=keys, help=f"of {','.join(keys)}")
    parser.add_argument("--rounds", type=int, default=1, help="runs of each; the median counts (default 1)")
    parser.add_argument("--into", type=Path, default=FOLDER, metavar="FOLDER", help="default benchmarks/results")
    return measure(parser.parse_args(arguments))


def _chosen(text: str, known: Sequence[str]) -> list[str]:
    wanted = text.split(",")
    if unknown := set(wanted) - set(known):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return [name for name in known if name in wanted]


if __name__ == "__main__":
    sys.exit(main())
