"""Draws a movie without encoding it, so that a test can check its exact pixels."""

from __future__ import annotations

from pathlib import Path

from airflow_json2video.local.drawing.assets import AssetFault, Assets
from airflow_json2video.local.drawing.clips import measure
from airflow_json2video.local.drawing.painter import Painter
from airflow_json2video.local.planning.plan import plan
from airflow_json2video.local.planning.resolve import resolve

HOST = "https://media.example.com/"
RED, GREEN, BLUE, BLACK, WHITE = (200, 30, 30), (11, 132, 87), (67, 146, 241), (0, 0, 0), (255, 255, 255)


class DrawnMovie:
    """The frames of a movie, and the warnings of the painter."""

    def __init__(self, movie, folder: Path):
        self.warnings: list[str] = []
        assets = Assets(cache=folder / "cache", folder=folder, fetch=False)

        def find(layer):
            if not layer.element.get("src"):
                return None
            try:
                return assets.file(layer.element["src"])
            except AssetFault as fault:
                self.warnings.append(str(fault))
                return None

        def probe(where, element):
            path = assets.file(element["src"])
            return measure(path, kind=element["type"])

        self.timeline = plan(resolve(movie), probe=probe)
        self.frames = []
        for picture in Painter(self.timeline, find=find, warn=self.warnings.append).frames():
            self.frames.append(self.frames[-1] if picture is None else picture.copy())

    def pixel(self, x, y, frame=0):
        return self.frames[frame].getpixel((x, y))

    def warning_text(self):
        return "\n".join(self.warnings)


def movie(*elements, width=100, height=100, seconds=1.0, fps=10, background="#000000", **more):
    scene = {"duration": seconds, "background-color": background, "elements": list(elements)}
    return {"width": width, "height": height, "fps": fps, "scenes": [scene], **more}


def is_close(seen, wanted, by=6):
    return all(abs(a - b) <= by for a, b in zip(seen, wanted, strict=True))


def to_hex(rgb):
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def bright_box(picture, *, over=128):
    """Return the box of the bright pixels: left, top, right, bottom."""
    return picture.convert("L").point([255 * (v > over) for v in range(256)]).getbbox()
