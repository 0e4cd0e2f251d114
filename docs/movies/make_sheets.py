"""Draws the contact sheets of the movies in this folder into ``docs/_static``: ``make sheets``."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

from airflow_json2video.local.drawing.assets import Assets  # noqa: E402 - found by the line above
from airflow_json2video.local.drawing.sheet import contact_sheet  # noqa: E402
from airflow_json2video.local.drawing.snapshots import MovieStills  # noqa: E402

STATIC = HERE.parent / "_static"


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """How a movie is drawn on its sheet.

    :param at: moments in seconds; none: the middle of each transition.
    :param tile: the longer side of a frame on the sheet, pixels.
    """

    at: tuple[float, ...] = ()
    columns: int
    tile: int


SHEETS = {
    "text-layout": Sheet(at=(1, 3, 5), columns=2, tile=580),
    "text-scripts": Sheet(at=(1, 3.14, 3.5, 5), columns=2, tile=580),
    "pictures-placed": Sheet(at=(0.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.2, 8), columns=3, tile=384),
    "pictures-moved": Sheet(at=(0, 2.4, 2.7, 4.8, 5.2, 5.9, 8.2, 9.8, 10.6, 11.2, 12, 13), columns=6, tile=330),
    "clips": Sheet(at=(0, 1.04, 2.8, 3.5, 4.2, 5.2, 7.4, 8.5, 9.6, 11.3, 12, 12.8), columns=3, tile=384),
    "transitions": Sheet(columns=4, tile=284),
    "menu": Sheet(at=(0.5, 1.75, 2.5, 4.4, 6, 7.5), columns=6, tile=340),
    "sound-captions": Sheet(at=(1, 3, 4.6, 5.75, 6.6, 7.5), columns=3, tile=384),
    "sound-garden": Sheet(at=(0.8, 1.2, 1.7, 3, 4.6, 5.6), columns=6, tile=340),
    "sound-podcast": Sheet(at=(0.6, 1.8, 2.6, 3.2, 4.2, 5.4), columns=3, tile=384),
}


def main() -> None:
    """Draw all sheets."""
    for name, sheet in SHEETS.items():
        document = json.loads((HERE / f"{name}.json").read_text())
        with tempfile.TemporaryDirectory() as cache:
            assets = Assets(cache=Path(cache), folder=HERE / "assets", fetch=False)
            stills = MovieStills(document, assets=assets, html=True)
            moments = sheet.at or [
                float((scene.first + scene.transition.frames / 2) / stills.timeline.fps)
                for scene in stills.timeline.scenes
                if scene.transition
            ]
            shown = list(stills.at(moments))
        path = STATIC / f"movies-{name}.jpg"
        title = f"docs/movies/{name}.json, {stills.duration:g} s"
        contact_sheet(shown, title=title, columns=sheet.columns, tile=sheet.tile).save(path, quality=80, optimize=True)
        print(f"{path.stat().st_size:8,}  {path.name}, {len(shown)} frames")
        for warning in stills.warnings:
            print(f"{'':10}{warning}")


if __name__ == "__main__":
    main()
