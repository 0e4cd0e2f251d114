"""Draws the pictures and clips of the movies in this folder, by arithmetic only."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "assets" / "looks.example.com"
FONTS = HERE.parent.parent / "airflow_json2video" / "local" / "drawing" / "fonts"
FPS = 25
RATE = 48_000


def font(size: int, name: str = "Roboto-Bold.ttf") -> ImageFont.FreeTypeFont:
    """Return one of the bundled fonts."""
    return ImageFont.truetype(str(FONTS / name), size)


def main() -> None:
    """Write all files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    hills(1440, 810).save(FOLDER / "hills.jpg", quality=74)
    tower().save(FOLDER / "tower.jpg", quality=82)
    chart().save(FOLDER / "chart.png", optimize=True)
    badge().save(FOLDER / "badge.png", optimize=True)
    blot().save(FOLDER / "blot.png", optimize=True)
    clip("dial.mp4", (dial(n / FPS) for n in range(6 * FPS)), sound=beeps(6))
    clip("screen.mp4", (walker(n / FPS) for n in range(4 * FPS)))
    clip("iris.mp4", (iris(n / FPS) for n in range(2 * FPS)))
    clip("spark.webm", (spark(n / FPS) for n in range(2 * FPS)), codec="libvpx-vp9", pixels="yuva420p")
    for path in sorted(FOLDER.iterdir()):
        print(f"{path.stat().st_size:8,}  {path.name}")


# --- pictures -------------------------------------------------------------------------------------


def hills(width: int, height: int) -> Image.Image:
    """Draw a landscape at dusk: a sky, a sun, five ridges, one behind the other, and trees on the nearest."""
    rows = np.linspace(0, 1, height)[:, None, None]
    sky = (1 - rows) * np.array([38, 62, 120]) + rows * np.array([255, 190, 120])
    picture = np.broadcast_to(sky, (height, width, 3)).copy()
    y, x = np.mgrid[0:height, 0:width]
    far = np.hypot(x - width * 0.68, y - height * 0.42)
    glow = np.exp(-far / (height * 0.22))[..., None]
    picture += glow * np.array([120, 80, 20])
    disc = np.clip(height * 0.055 - far, 0, 1)[..., None]
    picture = picture * (1 - disc) + disc * np.array([255, 244, 214])
    rng = np.random.default_rng(5)
    across = np.arange(width) / width
    for ridge in range(5):
        level = height * (0.52 + ridge * 0.09)
        line = level + sum(
            height * 0.07 / wave * np.sin(across * wave * 7 + rng.uniform(0, 6.3)) for wave in (1, 2, 3.7, 9, 21)
        )
        shade = np.array([92, 84, 120]) * (1 - ridge / 5) + np.array([14, 30, 34]) * (ridge / 5)
        part = np.clip(y - line[None, :], 0, 1)[..., None]
        haze = np.clip((y - line[None, :]) / (height * 0.3), 0, 1)[..., None] * 24
        picture = picture * (1 - part) + part * (shade + haze)
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for _ in range(26):
        foot, at = rng.uniform(0.9, 1.0) * height, rng.uniform(0, 1) * width
        tall = rng.uniform(0.07, 0.17) * height
        pen.polygon([(at, foot - tall), (at - tall / 5, foot), (at + tall / 5, foot)], fill=(10, 22, 24))
    return image


def tower() -> Image.Image:
    """Draw something upright: a lighthouse by day."""
    size = (600, 900)
    rows = np.linspace(0, 1, size[1])[:, None, None]
    sky = (1 - rows) * np.array([70, 140, 205]) + rows * np.array([225, 238, 245])
    image = Image.fromarray(np.broadcast_to(sky, (size[1], size[0], 3)).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 690, 600, 900), fill=(24, 92, 130))
    for n in range(9):
        pen.line((0, 700 + n * 23, 600, 704 + n * 23), fill=(40 + 6 * n, 112, 150), width=3)
    pen.polygon([(90, 900), (180, 730), (420, 730), (520, 900)], fill=(84, 74, 66))
    for n in range(7):
        top, bottom = 270 + n * 66, 270 + (n + 1) * 66
        wide = [70 + (edge - 270) * 0.09 for edge in (top, bottom)]
        shade = (196, 48, 42) if n % 2 == 0 else (246, 243, 236)
        pen.polygon(
            [(300 - wide[0], top), (300 + wide[0], top), (300 + wide[1], bottom), (300 - wide[1], bottom)], fill=shade
        )
    pen.rectangle((210, 250, 390, 272), fill=(40, 44, 52))
    pen.rectangle((244, 170, 356, 250), fill=(255, 226, 130))
    for x in (244, 281, 318, 356):
        pen.line((x, 170, x, 250), fill=(40, 44, 52), width=5)
    pen.polygon([(230, 170), (370, 170), (300, 100)], fill=(196, 48, 42))
    return image.filter(ImageFilter.GaussianBlur(0.8))


def chart() -> Image.Image:
    """Draw a test chart: a ring that must stay round, edges that must stay straight, corners that differ."""
    size = 480, 360
    image = Image.new("RGB", (size[0] * 3, size[1] * 3), "#20242c")
    pen = ImageDraw.Draw(image)
    for n in range(17):
        pen.line((n * 90, 0, n * 90, 1080), fill="#39404d", width=3)
        pen.line((0, n * 90, 1440, n * 90), fill="#39404d", width=3)
    for n in range(8):
        r, g, b = (round(255 * c) for c in colorsys.hsv_to_rgb(n / 8, 0.75, 0.92))
        pen.rectangle((360 + n * 90, 810, 449 + n * 90, 899), fill=(r, g, b))
        grey = round(255 * n / 7)
        pen.rectangle((360 + n * 90, 900, 449 + n * 90, 989), fill=(grey, grey, grey))
    pen.ellipse((450, 135, 990, 675), outline="#f2f2f2", width=12)
    pen.ellipse((600, 285, 840, 525), outline="#f2c14e", width=12)
    for text, at, shade in (("A", (100, 90), "#ff6b5e"), ("B", (1340, 90), "#5ed1ff"),
                            ("C", (100, 990), "#8ce06a"), ("D", (1340, 990), "#d6a6ff")):  # fmt: skip
        pen.text(at, text, font=font(150), fill=shade, anchor="mm")
    pen.text((720, 405), "R7", font=font(180), fill="#f2f2f2", anchor="mm")
    pen.rectangle((0, 0, 1439, 1079), outline="#f2f2f2", width=9)
    small = image.resize(size, Image.Resampling.LANCZOS)
    return small.quantize(128, dither=Image.Dither.NONE)


def badge() -> Image.Image:
    """Draw a badge with a transparent ground and smooth edges."""
    side = 300
    image = Image.new("RGBA", (side * 4, side * 4), (244, 187, 68, 0))
    pen = ImageDraw.Draw(image)
    points = []
    for n in range(32):
        far = 580 if n % 2 == 0 else 500
        points.append((600 + far * math.cos(n * math.pi / 16), 600 + far * math.sin(n * math.pi / 16)))
    pen.polygon(points, fill=(244, 187, 68, 255))
    pen.ellipse((170, 170, 1030, 1030), fill=(29, 53, 87, 255))
    pen.text((600, 500), "fresh", font=font(250), fill=(255, 255, 255, 255), anchor="mm")
    pen.text((600, 740), "daily", font=font(250), fill=(244, 187, 68, 255), anchor="mm")
    return image.resize((side, side), Image.Resampling.LANCZOS)


def blot() -> Image.Image:
    """Draw a mask: a soft-edged drop, white on black."""
    y, x = np.mgrid[0:360, 0:480]
    angle = np.arctan2(y - 180, x - 240)
    edge = 140 + 18 * np.sin(5 * angle) + 10 * np.cos(3 * angle)
    return Image.fromarray((np.clip((edge - np.hypot((x - 240) * 0.8, y - 180)) / 24, 0, 1) * 255).astype(np.uint8))


# --- clips ----------------------------------------------------------------------------------------


def dial(seconds: float) -> Image.Image:
    """Draw a clock that turns once in four seconds; its rim lights up in the first tenth of each second."""
    image = Image.new("RGB", (960, 540), "#16324f")
    pen = ImageDraw.Draw(image)
    now = int(seconds + 1e-6)
    lit = seconds - now < 0.099
    pen.ellipse((60, 60, 480, 480), fill="#f4f1e8", outline="#f25f5c" if lit else "#8fa3b5", width=18)
    turn = seconds / 4 * math.tau
    pen.line((270, 270, 270 + 170 * math.sin(turn), 270 - 170 * math.cos(turn)), fill="#16324f", width=16)
    pen.ellipse((254, 254, 286, 286), fill="#16324f")
    pen.text((720, 250), str(now), font=font(300), fill="#f25f5c" if lit else "#f4f1e8", anchor="mm")
    pen.text((720, 450), f"{seconds:.2f} s", font=font(60, "Roboto-Regular.ttf"), fill="#c9d6df", anchor="mm")
    return image.resize((480, 270), Image.Resampling.LANCZOS)


def walker(seconds: float) -> Image.Image:
    """Draw a paper figure that walks before a green screen, which is lit unevenly and has the figure's shadow."""
    width, height = 480, 360
    y, x = np.mgrid[0:height, 0:width]
    light = 1 - 0.22 * np.hypot((x - 240) / 480, (y - 150) / 360)
    screen = np.stack([40 * light, 190 * light, 70 * light], axis=-1)
    image = Image.fromarray(screen.astype(np.uint8)).resize((width * 2, height * 2))
    pen = ImageDraw.Draw(image)
    beat = math.sin(seconds * math.tau)
    x0, y0 = 480 + 150 * math.sin(seconds * math.tau / 4), 300 + 10 * abs(beat)
    pen.ellipse((x0 - 150, 640, x0 + 150, 690), fill=(26, 130, 46))
    for side in (-1, 1):
        pen.line((x0, y0 + 170, x0 + side * 80 * beat, y0 + 350), fill=(44, 62, 120), width=46)
        pen.line((x0, y0 + 10, x0 + side * 130, y0 + 60 - side * 90 * beat), fill=(224, 172, 138), width=34)
    pen.rounded_rectangle((x0 - 70, y0 - 30, x0 + 70, y0 + 190), 40, fill=(214, 72, 60))
    pen.ellipse((x0 - 62, y0 - 160, x0 + 62, y0 - 30), fill=(224, 172, 138))
    for n in range(15):
        lean = math.radians(-160 + n * 10)
        pen.line((x0, y0 - 100, x0 + 105 * math.cos(lean), y0 - 105 + 95 * math.sin(lean)), fill=(58, 36, 24), width=5)
    pen.ellipse((x0 - 62, y0 - 168, x0 + 62, y0 - 88), fill=(58, 36, 24))
    return image.resize((width, height), Image.Resampling.LANCZOS)


def iris(seconds: float) -> Image.Image:
    """Draw a mask that opens and closes: a white ring that grows and shrinks."""
    image = Image.new("RGB", (640, 360), "black")
    far = 60 + 110 * (0.5 - 0.5 * math.cos(seconds * math.pi))
    ImageDraw.Draw(image).ellipse((320 - far, 180 - far, 320 + far, 180 + far), fill="white")
    return image.resize((320, 180), Image.Resampling.LANCZOS)


def spark(seconds: float) -> Image.Image:
    """Draw a turning star with a glow, on nothing."""
    side = 180
    y, x = np.mgrid[0:side, 0:side] - (side - 1) / 2
    far, angle = np.hypot(x, y), np.arctan2(y, x) - seconds * math.pi
    edge = 46 + 25 * np.cos(5 * angle)
    star = np.clip((edge - far) / 2, 0, 1)
    glow = np.clip(1 - far / 86, 0, 1) ** 2 * 0.75
    pixels = np.zeros((side, side, 4))
    pixels[..., :3] = np.where(star[..., None] > 0.5, [255, 240, 190], [255, 150, 40])
    pixels[..., 3] = np.maximum(star, glow) * 255
    return Image.fromarray(pixels.astype(np.uint8))


def beeps(seconds: int) -> Any:
    """Make a short tone at each second."""
    time = np.arange(seconds * RATE) / RATE
    within = time % 1
    tone = np.sin(time * math.tau * 880) * np.clip(within / 0.004, 0, 1) * np.clip((0.1 - within) / 0.02, 0, 1)
    return (0.5 * tone).astype(np.float32)[None, :]


def clip(
    name: str, pictures: Iterator[Image.Image], *, codec: str = "libx264", pixels: str = "yuv420p", sound: Any = None
) -> None:
    """Write a clip."""
    first = next(pictures)
    with av.open(str(FOLDER / name), "w", options={"fflags": "+bitexact"}) as container:
        options = {"crf": "28", "preset": "veryslow"} if codec == "libx264" else {"crf": "50", "b": "0"}
        video: Any = container.add_stream(codec, rate=FPS, options=options)
        video.width, video.height, video.pix_fmt = *first.size, pixels
        if pixels == "yuva420p":
            video.metadata["alpha_mode"] = "1"
        voice: Any = container.add_stream("aac", rate=RATE, options={"b": "48k"}) if sound is not None else None
        if voice is not None:
            voice.layout = "mono"
        for index, picture in enumerate(_chained(first, pictures)):
            frame = av.VideoFrame.from_ndarray(np.asarray(picture.convert("RGBA")), format="rgba").reformat(
                format=pixels
            )
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if voice is not None:
            block = av.AudioFrame.from_ndarray(sound, format="fltp", layout="mono")
            block.sample_rate, block.pts = RATE, 0
            container.mux(voice.encode(block))
            container.mux(voice.encode())


def _chained(first: Image.Image, rest: Iterator[Image.Image]) -> Iterator[Image.Image]:
    yield first
    yield from rest


if __name__ == "__main__":
    main()
