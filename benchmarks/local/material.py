"""Pictures, clips and sounds for the movies, made here and always the same."""

from __future__ import annotations

import math
import wave
from fractions import Fraction
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from airflow_json2video.local.drawing.encode import Encoder
from benchmarks.local.movies import HOST

__all__ = ["make"]

RATE = 48_000


def make(root: Path) -> None:
    """Write all files under *root*, where ``--assets`` finds them."""
    folder = root / (urlsplit(HOST).hostname or "")
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, 5):
        _photo(number, (1920, 1280)).save(folder / f"photo-{number}.jpg", quality=90)
    _clip(folder / "clip-1.mp4", size=(1280, 720), seed=11)
    _clip(folder / "clip-2.mp4", size=(640, 360), seed=12)
    _tones(folder / "music.wav", seconds=16, notes=(220.0, 277.2, 329.6))
    _tones(folder / "bell.wav", seconds=3, notes=(880.0,))
    logo = Image.new("RGBA", (320, 160), (0, 0, 0, 0))
    ImageDraw.Draw(logo).rounded_rectangle((4, 4, 315, 155), radius=40, fill=(255, 255, 255, 180))
    logo.save(folder / "logo.png")


def _photo(seed: int, size: tuple[int, int]) -> Image.Image:
    """Make something with the detail of a photograph: soft areas, edges, a little grain."""
    noise = np.random.default_rng(seed)
    coarse = Image.fromarray(noise.integers(0, 255, (12, 18, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(coarse)
    for _ in range(40):
        x, y, r = noise.integers(0, size[0]), noise.integers(0, size[1]), noise.integers(20, 200)
        pen.ellipse((int(x - r), int(y - r), int(x + r), int(y + r)), fill=tuple(map(int, noise.integers(0, 255, 3))))
    soft = np.asarray(coarse.filter(ImageFilter.GaussianBlur(2)), dtype=np.int16)
    grain = noise.normal(0, 4, soft.shape).astype(np.int16)
    return Image.fromarray(np.clip(soft + grain, 0, 255).astype(np.uint8))


def _clip(path: Path, *, size: tuple[int, int], seed: int) -> None:
    wide = _photo(seed, (size[0] + 200, size[1]))
    fps = Fraction(25)
    with Encoder(path, width=size[0], height=size[1], fps=fps, mode="full", sound=True) as encoder:
        heard = 0
        for frame in range(100):
            left = round(100 + 100 * math.sin(frame / 100 * 2 * math.pi))
            encoder.picture(wide.crop((left, 0, left + size[0], size[1])))
            while heard < (frame + 1) * RATE // 25:
                time = np.arange(heard, heard + 1024) / RATE
                encoder.samples(np.tile((0.1 * np.sin(2 * np.pi * 330 * time)).astype(np.float32), (2, 1)))
                heard += 1024


def _tones(path: Path, *, seconds: int, notes: tuple[float, ...]) -> None:
    time = np.arange(seconds * RATE) / RATE
    mixed = sum(np.sin(2 * np.pi * note * time) for note in notes) / len(notes) * np.exp(-(time % 2))
    samples = (mixed * 12_000).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.repeat(samples, 2).tobytes())
