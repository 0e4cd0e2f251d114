"""Draws movies of a folder as strips of frames into ``docs/_static/examples-*.jpg``, with our own media for theirs.

``python docs/movies/make_examples.py FOLDER``: what the movies name on the network is replaced by a file of
``assets`` of the same kind, chosen by its name and always the same.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

from airflow_json2video.local.drawing.assets import Assets  # noqa: E402 - found by the line above
from airflow_json2video.local.drawing.sheet import contact_sheet  # noqa: E402
from airflow_json2video.local.drawing.snapshots import MovieStills  # noqa: E402

STATIC = HERE.parent / "_static"
MEDIA = HERE / "assets"
STAND_INS = {
    ".jpg": ("looks.example.com/hills.jpg", "looks.example.com/tower.jpg"),
    ".png": ("looks.example.com/badge.png",),
    ".mp4": ("looks.example.com/dial.mp4",),
    ".mp3": ("sound.example.com/music.ogg",),
}
BY_NAME = {
    "mask": "looks.example.com/blot.png",
    "green": "looks.example.com/screen.mp4",
    "chart": "looks.example.com/chart.png",
}
PAGE = """<body style="margin:0;height:100vh;background:linear-gradient(135deg,#ffd76a,#ff7a59);font-family:sans-serif">
<h1 style="margin:0;padding:1em;font-size:64px">A page</h1></body>"""
TEMPLATE = {
    "resolution": "hd",
    "scenes": [
        {"duration": 2, "background-color": "#345", "elements": [{"type": "text", "text": "{{headline}}"}]},
        {"iterate": "rooms", "duration": 2, "elements": [{"type": "text", "text": "{{name}}"}]},
    ],
}
"""Replaces any stored template."""
FRAMES, TILE, MOVIES_TO_A_PICTURE = 6, 190, 6


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw all movies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="with movies, *.json")
    movies = sorted(parser.parse_args(arguments).folder.glob("*.json"))
    strips = [strip(path) for path in movies]
    for old in STATIC.glob("examples-*.jpg"):
        old.unlink()
    for first in range(0, len(strips), MOVIES_TO_A_PICTURE):
        path = STATIC / f"examples-{first // MOVIES_TO_A_PICTURE + 1}.jpg"
        stacked(strips[first : first + MOVIES_TO_A_PICTURE]).save(path, quality=80, optimize=True)
        print(f"{path.stat().st_size:8,}  {path.name}")


def strip(path: Path) -> Image.Image:
    """Draw frames of a movie, spread evenly over its length, side by side."""
    document = json.loads(path.read_text(), object_hook=_from_the_start)
    if "template" in document:
        document = {**TEMPLATE, **{k: v for k, v in document.items() if k != "template"}}
    with tempfile.TemporaryDirectory() as folder:
        media = Path(folder, "media")
        for address in addresses(json.dumps(document)):
            stand_in(address, media)
        assets = Assets(cache=Path(folder, "cache"), folder=media, fetch=False)
        stills = MovieStills(document, assets=assets, html=True)
        moments = [(n + 0.5) * stills.duration / FRAMES for n in range(FRAMES)]
        print(f"{path.stem}: {stills.duration:g} s")
        for warning in stills.warnings:
            print(f"{'':10}{warning}")
        return contact_sheet(
            list(stills.at(moments)), title=f"{path.stem}, {stills.duration:g} s", columns=FRAMES, tile=TILE
        )


def _from_the_start(element: dict[str, Any]) -> dict[str, Any]:
    """Play a sound from its start, in a loop: the replacement is shorter."""
    if element.get("type") != "audio" or "seek" not in element:
        return element
    return {"loop": -1, **{k: v for k, v in element.items() if k != "seek"}}


def addresses(text: str) -> Iterator[str]:
    """Return the addresses in a document."""
    yield from sorted(set(re.findall(r'"(https?://[^"]+)"', text)))


def stand_in(address: str, media: Path) -> None:
    """Copy a file of ours to the place of the address."""
    parts = urlsplit(address)
    target = media / (parts.hostname or "") / parts.path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    named = next((ours for word, ours in BY_NAME.items() if word in target.stem), None)
    choice = STAND_INS.get(target.suffix)
    if named or choice:
        shutil.copy(MEDIA / (named or choice[sum(target.stem.encode()) % len(choice)]), target)
    elif not target.suffix:
        target.write_text(PAGE)


def stacked(strips: Sequence[Image.Image]) -> Image.Image:
    """Put strips one under the other."""
    sheet = Image.new("RGB", (max(s.width for s in strips), sum(s.height for s in strips)), "#15171c")
    y = 0
    for one in strips:
        sheet.paste(one, (0, y))
        y += one.height
    return sheet


if __name__ == "__main__":
    main()
