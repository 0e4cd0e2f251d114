"""Draw a movie with moviepy 2: ``python -m benchmarks.local.with_moviepy movie.json out.mp4 ASSETS``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import moviepy
from moviepy import afx, vfx

from benchmarks.local.flat import FlatLayer, FlatMovie, FlatScene, FlatSound, flatten

__all__ = ["draw"]


def draw(movie: FlatMovie, target: Path) -> None:
    """Write *movie* with the encoder settings of our mode ``preview``."""
    size = (movie.width, movie.height)
    scenes = [_scene(scene, size) for scene in movie.scenes]
    if any(scene.transition for scene in movie.scenes) or movie.overlays:
        shown = [clip.with_start(scene.start) for clip, scene in zip(scenes, movie.scenes, strict=True)]
        layers = [_layer(layer, size) for layer in movie.overlays]
        whole: Any = moviepy.CompositeVideoClip([*shown, *layers], size=size)
    else:
        whole = moviepy.concatenate_videoclips(scenes, method="chain")
    whole = whole.with_duration(movie.seconds)
    if movie.sounds:
        mixed = moviepy.CompositeAudioClip([_sound(sound) for sound in movie.sounds])
        whole = whole.with_audio(mixed.with_duration(movie.seconds))
    whole.write_videofile(
        str(target),
        fps=movie.fps,
        codec="libx264",
        preset="ultrafast",
        audio_codec="aac",
        threads=2,
        ffmpeg_params=["-crf", "23", "-pix_fmt", "yuv420p"],
        logger=None,
    )


def _scene(scene: FlatScene, size: tuple[int, int]) -> Any:
    back = moviepy.ColorClip(size, color=scene.background, duration=scene.seconds)
    clip = moviepy.CompositeVideoClip([back, *(_layer(x, size) for x in scene.layers)], size=size)
    clip = clip.with_duration(scene.seconds)
    return clip.with_effects([vfx.CrossFadeIn(scene.transition[1])]) if scene.transition else clip


def _layer(layer: FlatLayer, size: tuple[int, int]) -> Any:
    if layer.moving:
        clip: Any = moviepy.VideoFileClip(str(layer.path), audio=False)
        if clip.duration < layer.seconds:
            clip = clip.with_effects([vfx.Loop(duration=layer.seconds)])
        clip = clip.subclipped(0, layer.seconds)
    else:
        clip = moviepy.ImageClip(str(layer.path)).with_duration(layer.seconds)
    if (clip.w, clip.h) != (layer.width, layer.height):
        clip = clip.resized((layer.width, layer.height))
    if layer.zoom is None:
        clip = clip.with_position((layer.x, layer.y))
    else:
        begin, end = layer.zoom

        def scale(t: float) -> float:
            return begin + (end - begin) * t / layer.seconds

        def place(t: float) -> tuple[float, float]:
            return (size[0] - layer.width * scale(t)) / 2, (size[1] - layer.height * scale(t)) / 2

        clip = clip.resized(scale).with_position(place)
    fades: list[Any] = []
    if layer.fade_in:
        fades.append(vfx.CrossFadeIn(layer.fade_in))
    if layer.fade_out:
        fades.append(vfx.CrossFadeOut(layer.fade_out))
    clip = clip.with_effects(fades) if fades else clip
    return clip.with_start(layer.start)


def _sound(sound: FlatSound) -> Any:
    clip: Any = moviepy.AudioFileClip(str(sound.path))
    if clip.duration < sound.seconds:
        clip = clip.with_effects([afx.AudioLoop(duration=sound.seconds)])
    clip = clip.subclipped(0, sound.seconds)
    effects: list[Any] = [afx.MultiplyVolume(sound.volume)]
    if sound.fade_in:
        effects.append(afx.AudioFadeIn(sound.fade_in))
    if sound.fade_out:
        effects.append(afx.AudioFadeOut(sound.fade_out))
    return clip.with_effects(effects).with_start(sound.start)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        draw(flatten(Path(sys.argv[1]), assets=Path(sys.argv[3]), scratch=Path(scratch)), Path(sys.argv[2]))
