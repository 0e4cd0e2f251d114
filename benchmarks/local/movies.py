"""The ten movies that are drawn, as Movie JSON. :mod:`.material` makes every file that they name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["MOVIES", "Subject"]

Json = dict[str, Any]
HOST = "https://bench.example"
_COLORS = ("#4392F1", "#0B8457", "#7A2E8E", "#B4431F", "#1F2D3D")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A movie to draw, and why it is among the ten."""

    key: str
    title: str
    document: Json

    @property
    def styles(self) -> frozenset[str]:
        """The styles of its transitions."""
        scenes = self.document["scenes"]
        return frozenset(s["transition"]["style"] for s in scenes if "transition" in s)


def _text(words: str, *, size: str = "6vw", **more: Any) -> Json:
    settings = {"font-size": size, "font-weight": "700", **more.pop("settings", {})}
    return {"type": "text", "text": words, "settings": settings, **more}


def _photo(number: int, **more: Any) -> Json:
    return {"type": "image", "src": f"{HOST}/photo-{number}.jpg", "resize": "cover", "duration": -2, **more}


def _clip(number: int, **more: Any) -> Json:
    return {"type": "video", "src": f"{HOST}/clip-{number}.mp4", "duration": -2, "loop": -1, **more}


def _sound(name: str, **more: Any) -> Json:
    return {"type": "audio", "src": f"{HOST}/{name}.wav", **more}


def _text_only() -> Json:
    scenes = [
        {
            "duration": 3,
            "background-color": _COLORS[n],
            "elements": [
                _text(f"Chapter {n + 1}: what was said, and what was meant by it", **{"fade-in": 0.5, "fade-out": 0.5})
            ],
        }
        for n in range(3)
    ]
    return {"resolution": "hd", "scenes": scenes}


def _slideshow() -> Json:
    return {
        "resolution": "hd",
        "scenes": [{"duration": 2.5, "elements": [_photo(n, zoom=3 if n % 2 else -3)]} for n in range(1, 5)],
    }


def _crossings(*styles: str) -> Json:
    scenes: list[Json] = [{"duration": 2.5, "elements": [_photo(1)]}]
    for number, style in enumerate(styles, start=2):
        crossing = {"style": style, "duration": 0.8}
        scenes.append({"duration": 2.5, "transition": crossing, "elements": [_photo(number)]})
    return {"resolution": "hd", "scenes": scenes}


def _clips() -> Json:
    small = {"width": 400, "height": 226, "muted": True}
    layers = [
        _clip(1, resize="cover"),
        _clip(2, position="top-left", **small),
        _clip(2, position="bottom-right", **small),
        _text("Three clips at once", size="4vw"),
    ]
    return {"resolution": "hd", "scenes": [{"duration": 8, "elements": layers}]}


def _audio_mix() -> Json:
    scenes = [{"duration": 3, "elements": [_photo(n), _text(f"Part {n}")]} for n in (1, 2, 3)]
    fades = {"fade-in": 1, "fade-out": 1}
    sounds = [
        _sound("music", duration=9, volume=0.5, **fades),
        _sound("bell", start=1, duration=2),
        _sound("bell", start=4, duration=2, volume=0.7),
        _sound("bell", start=7, duration=2, **{"fade-out": 0.5}),
    ]
    return {"resolution": "hd", "scenes": scenes, "elements": sounds}


def _many_scenes() -> Json:
    scenes = [
        {"duration": 0.75, "elements": [_photo(n % 4 + 1), _text(f"Scene {n + 1} of 40", size="5vw")]}
        for n in range(40)
    ]
    return {"resolution": "sd", "scenes": scenes}


def _full_hd() -> Json:
    layers = [_photo(2, zoom=4), _text("In full high definition", **{"fade-in": 0.5})]
    return {"resolution": "full-hd", "fps": 30, "scenes": [{"duration": 6, "elements": layers}]}


def _vertical() -> Json:
    scenes = [
        {
            "duration": 3,
            "elements": [
                _photo(n, zoom=3),
                _text(f"Story {n}", size="9vw", settings={"vertical-position": "bottom"}, **{"fade-in": 0.4}),
            ],
        }
        for n in (3, 4)
    ]
    return {"resolution": "instagram-story", "scenes": scenes}


def _ordinary() -> Json:
    fade = {"style": "fade", "duration": 0.5}
    scenes: list[Json] = [
        {"duration": 3, "background-color": _COLORS[0], "elements": [_text("The week in pictures")]},
        {"duration": 4, "transition": fade, "elements": [_photo(1, zoom=3), _text("Monday", size="4vw")]},
        {"duration": 4, "transition": fade, "elements": [_photo(2, zoom=-3), _text("Tuesday", size="4vw")]},
        {"duration": 4, "transition": fade, "elements": [_clip(1, resize="cover", muted=True)]},
    ]
    logo = {"type": "image", "src": f"{HOST}/logo.png", "position": "top-right", "width": 160, "duration": -2}
    music = _sound("music", duration=13.5, volume=0.6, **{"fade-in": 1, "fade-out": 1})
    return {"resolution": "hd", "scenes": scenes, "elements": [logo, music]}


MOVIES: tuple[Subject, ...] = (
    Subject(key="text", title="text only, 720p", document=_text_only()),
    Subject(key="slideshow", title="slideshow with zoom, 720p", document=_slideshow()),
    Subject(key="crossfades", title="crossfades, 720p", document=_crossings("fade", "fade", "fade")),
    Subject(key="wipes", title="other transitions, 720p", document=_crossings("wipeleft", "circleopen", "slideup")),
    Subject(key="clips", title="three layers of video, 720p", document=_clips()),
    Subject(key="sound", title="four sounds over stills, 720p", document=_audio_mix()),
    Subject(key="scenes", title="forty scenes, 360p", document=_many_scenes()),
    Subject(key="full-hd", title="zoom and text, 1080p at 30 fps", document=_full_hd()),
    Subject(key="vertical", title="zoom and text, 1080x1920", document=_vertical()),
    Subject(key="ordinary", title="a bit of everything, 720p", document=_ordinary()),
)
