"""The plots: how cost, requests and delay grow from 100 renders to 10,000.

Each line is labeled at its end. The colors are Okabe's and Ito's, which people who do not see all colors can
distinguish. A hollow mark shows a contender that falls behind: it costs less than it should, because it does less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.polling.contenders import CONTENDERS, OURS

__all__ = ["draw"]

_COLORS = {
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
_INK = {"ours-single": "#2A7FB5", "dbt": "#A87400"}
"""Darker for text, where the line's color is too light to read."""
_DASHES = {"bare": (0, (1, 1.5)), "ours-busy": (0, (4, 2))}
_MARKS = {"ours-list": "o", "ours-busy": "o", "ours-single": "o", "bare": ".", "databricks": "s", "dbt": "^"}
_MARKS |= {"http": "D", "fivetran": "v", "common-ai": "P"}
_KEEPS_UP = 0.75
"""Share of the ends that are seen within 15 s."""
_GAP = 0.047
"""Minimum distance between two names, as a share of the height."""

Run = Mapping[str, Any]


def draw(results: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Draw every plot into *folder*, and return the name of each file and what it shows."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update({"font.family": "DejaVu Sans", "font.size": 10, "svg.fonttype": "none"})
    runs = [run for run in results["runs"] if "error" not in run]
    interval = results["settings"]["interval"]
    plots = (
        _Plot(
            file="polling-cpu.png",
            title="CPU time to wait for many renders",
            subtitle=f"seconds of CPU per minute, all triggers on one event loop; a poll every {interval} s",
            value=lambda run: run["cpu_per_minute_ms"] / 1000,
            line=(60.0, "one core, all the time"),
        ),
        _Plot(
            file="polling-requests.png",
            title="Requests to wait for many renders",
            subtitle=f"requests per minute; a poll every {interval} s",
            value=lambda run: run["requests_per_minute"],
        ),
        _Plot(
            file="polling-delay.png",
            title="How late the end of a render is seen",
            subtitle="median seconds from the end at the server to the trigger's event",
            value=lambda run: run["delay_median"],
            beyond="not seen while measured",
        ),
    )
    for plot in plots:
        _draw(runs, folder / plot.file, plot)
    return {plot.file: f"{plot.title}: {plot.subtitle}" for plot in plots}


@dataclass(frozen=True)
class _Plot:
    """The content of a plot.

    :ivar line: a height that is drawn across, and its label. :ivar beyond: the label of missing values.
    """

    file: str
    title: str
    subtitle: str
    value: Callable[[Run], float | None]
    line: tuple[float, str] | None = None
    beyond: str = ""


def _draw(runs: Sequence[Run], path: Path, plot: _Plot) -> None:
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

    sizes = sorted({run["size"] for run in runs})
    known = [found for run in runs if (found := plot.value(run)) is not None]
    beyond = max(known, default=1.0) * 1.3
    figure, axes = plt.subplots(figsize=(8.4, 5.0), dpi=160)
    figure.subplots_adjust(left=0.085, right=0.745, top=0.86, bottom=0.13)
    axes.set_xscale("log")
    axes.set_yscale("linear" if plot.beyond else "log")
    ends: dict[str, tuple[float, float]] = {}
    for key in CONTENDERS:
        points = sorted(
            (run["size"], beyond if (found := plot.value(run)) is None else found, _keeps_up(run))
            for run in runs
            if run["contender"] == key and (plot.beyond or plot.value(run) is not None)
        )
        if not points:
            continue
        is_ours = key in OURS
        for (x0, y0, _), (x1, y1, keeps_up) in pairwise(points):
            axes.plot(
                [x0, x1],
                [y0, y1],
                color=_COLORS[key],
                alpha=1.0 if keeps_up else 0.35,
                linewidth=2.4 if is_ours else 1.3,
                linestyle=_DASHES.get(key, "-"),
                zorder=3 if is_ours else 2,
                solid_capstyle="round",
            )
        for x, y, keeps_up in points:
            axes.plot(
                x,
                y,
                marker=_MARKS[key],
                markersize=6,
                color=_COLORS[key],
                markerfacecolor=_COLORS[key] if keeps_up else "white",
                zorder=4,
            )
        ends[key] = points[-1][:2]
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(sizes[0] / 1.12, sizes[-1] * 1.06)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}" if y >= 1 else f"{y:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    if plot.beyond:
        axes.set_ylim(0, beyond * 1.1)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.set_yticks([y for y in axes.get_yticks() if y <= max(known, default=1.0) * 1.1])
        if any(plot.value(run) is None for run in runs):
            _across(axes, beyond, plot.beyond)
    if plot.line:
        _across(axes, *plot.line)
    axes.grid(axis="y", color="#E4E4E4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors="#333333")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#999999")
    axes.set_xlabel("renders waiting", color="#333333")
    figure.text(0.012, 0.955, plot.title, fontsize=13, fontweight="bold", color="#111111")
    figure.text(0.012, 0.905, plot.subtitle, fontsize=9.5, color="#555555")
    if not all(_keeps_up(run) for run in runs):
        note = "hollow: falls behind, fewer than three in four ends are seen within 15 s"
        figure.text(0.988, 0.02, note, fontsize=8, color="#555555", horizontalalignment="right")
    _name_lines(axes, ends)
    figure.savefig(path)
    plt.close(figure)


def _keeps_up(run: Run) -> bool:
    return run["soon"] is None or run["soon"] >= _KEEPS_UP


def _across(axes: Any, height: float, words: str) -> None:
    axes.axhline(height, color="#999999", linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
    left = axes.get_xlim()[0] * 1.03
    axes.text(left, height, words, fontsize=8, color="#666666", verticalalignment="bottom")


def _name_lines(axes: Any, ends: Mapping[str, tuple[float, float]]) -> None:
    """Write each name at the end of its line, moved apart where two would overlap."""
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
            color=_INK.get(key, _COLORS[key]),
            fontsize=9.5,
            fontweight="bold" if key in OURS else "normal",
            verticalalignment="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": _COLORS[key],
                "linewidth": 0.6,
                "relpos": (0, 0.5),
                "shrinkA": 1,
                "shrinkB": 4,
            },
        )


def _spread(heights: Sequence[float]) -> list[float]:
    """Move sorted heights apart to the minimum gap, each as little as possible, and none above the top."""
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
    top = 1.02
    for place in reversed(range(len(placed))):
        placed[place] = min(placed[place], top)
        top = placed[place] - _GAP
    return placed
