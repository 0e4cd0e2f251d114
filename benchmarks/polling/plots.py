"""The plots: how cost, requests and delay grow from 100 renders to 10,000.

A line ends in its name, so there is no legend to look up. Colours are Okabe's and Ito's, which people who do not see
all colours can tell apart. A hollow mark is one that does not keep up: it delivers less than nine in ten of its polls,
so what it costs is less than what it should do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.polling.contenders import CONTENDERS, OURS

__all__ = ["draw"]

_COLOURS = {
    "ours-list": "#0072B2",
    "ours-busy": "#0072B2",
    "ours-single": "#56B4E9",
    "bare": "#555555",
    "databricks": "#D55E00",
    "dbt": "#E69F00",
    "http": "#CC79A7",
    "fivetran": "#009E73",
    "common-ai": "#8C6D31",
}
_DASHES = {"bare": (0, (1, 1.5)), "ours-busy": (0, (4, 2))}
_MARKS = {"ours-list": "o", "ours-busy": "o", "ours-single": "o", "bare": ".", "databricks": "s", "dbt": "^"}
_MARKS |= {"http": "D", "fivetran": "v", "common-ai": "P"}
_KEEPS_UP = 0.9
_GAP = 0.047
"""Least distance between two names, as a share of the height."""

Run = Mapping[str, Any]


def draw(results: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Draw every plot into *folder*, and give the name of each file and what it shows."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update({"font.family": "DejaVu Sans", "font.size": 10, "svg.fonttype": "none"})
    runs = [run for run in results["runs"] if "error" not in run]
    interval = results["settings"]["interval"]
    plots = (
        (
            "polling-cpu.png",
            "CPU time to wait for many renders",
            f"seconds of CPU per minute, all triggers on one event loop; a poll every {interval} s",
            lambda run: run["cpu_per_minute_ms"] / 1000,
            True,
        ),
        (
            "polling-requests.png",
            "Requests to wait for many renders",
            f"requests per minute; a poll every {interval} s",
            lambda run: run["requests_per_minute"],
            True,
        ),
        (
            "polling-delay.png",
            "How late the end of a render is seen",
            "median seconds from the end at the server to the trigger's event",
            lambda run: run["delay_median"],
            False,
        ),
    )
    for name, title, subtitle, value, is_log in plots:
        _draw(runs, folder / name, title=title, subtitle=subtitle, value=value, is_log=is_log)
    return {name: f"{title}: {subtitle}" for name, title, subtitle, *_ in plots}


def _draw(
    runs: Sequence[Run],
    path: Path,
    *,
    title: str,
    subtitle: str,
    value: Callable[[Run], float | None],
    is_log: bool,
) -> None:
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter, NullLocator

    sizes = sorted({run["size"] for run in runs})
    figure, axes = plt.subplots(figsize=(8.4, 5.0), dpi=160)
    figure.subplots_adjust(left=0.085, right=0.735, top=0.86, bottom=0.12)
    axes.set_xscale("log")
    if is_log:
        axes.set_yscale("log")
    ends: dict[str, tuple[float, float]] = {}
    for key in CONTENDERS:
        points = [
            (run["size"], found, run) for run in runs if run["contender"] == key and (found := value(run)) is not None
        ]
        if not points:
            continue
        points.sort(key=lambda point: point[0])
        colour, is_ours = _COLOURS[key], key in OURS
        axes.plot(
            [x for x, _, _ in points],
            [y for _, y, _ in points],
            color=colour,
            linewidth=2.4 if is_ours else 1.3,
            linestyle=_DASHES.get(key, "-"),
            zorder=3 if is_ours else 2,
            solid_capstyle="round",
        )
        for x, y, run in points:
            keeps_up = run["polls"] is None or run["polls"] >= _KEEPS_UP
            axes.plot(
                x,
                y,
                marker=_MARKS[key],
                markersize=6,
                color=colour,
                markerfacecolor=colour if keeps_up else "white",
                zorder=4,
            )
        ends[key] = (points[-1][0], points[-1][1])
    if not is_log:
        axes.set_ylim(bottom=0)
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(sizes[0] / 1.12, sizes[-1] * 1.06)
    if is_log:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}" if y >= 1 else f"{y:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y", color="#E4E4E4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors="#333333")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#999999")
    axes.set_xlabel("renders waiting", color="#333333")
    figure.text(0.012, 0.955, title, fontsize=13, fontweight="bold", color="#111111")
    figure.text(0.012, 0.905, subtitle, fontsize=9.5, color="#555555")
    if any(run["polls"] is not None and run["polls"] < _KEEPS_UP for run in runs):
        figure.text(
            0.988,
            0.02,
            "hollow: delivers less than 90 % of its polls",
            fontsize=8,
            color="#555555",
            horizontalalignment="right",
        )
    _name_lines(axes, ends)
    figure.savefig(path)
    plt.close(figure)


def _name_lines(axes: Any, ends: Mapping[str, tuple[float, float]]) -> None:
    """Write each name at the end of its line, moved apart where two would lie on each other."""
    to_share = axes.transAxes.inverted()
    spots = {key: to_share.transform(axes.transData.transform(end)) for key, end in ends.items()}
    order = sorted(spots, key=lambda key: spots[key][1])
    heights = _spread([spots[key][1] for key in order])
    for key, height in zip(order, heights, strict=True):
        x, y = spots[key]
        axes.annotate(
            CONTENDERS[key].title,
            xy=(x, y),
            xytext=(1.035, height),
            xycoords="axes fraction",
            textcoords="axes fraction",
            color=_COLOURS[key],
            fontsize=9.5,
            fontweight="bold" if key in OURS else "normal",
            verticalalignment="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": _COLOURS[key], "linewidth": 0.6, "shrinkA": 1, "shrinkB": 4},
        )


def _spread(heights: Sequence[float]) -> list[float]:
    """Move sorted heights apart to the least gap, each as little as it can."""
    placed = list(heights)
    for _ in range(200):
        moved = False
        for low in range(len(placed) - 1):
            lack = _GAP - (placed[low + 1] - placed[low])
            if lack > 1e-4:
                placed[low] -= lack / 2
                placed[low + 1] += lack / 2
                moved = True
        if not moved:
            break
    return placed
