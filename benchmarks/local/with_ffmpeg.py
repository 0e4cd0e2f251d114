"""Draw a movie with one FFmpeg filter graph: ``python -m benchmarks.local.with_ffmpeg movie.json out.mp4 ASSETS``.

The binary is imageio-ffmpeg's. Stills are decoded once and held by the ``loop`` filter; texts are pictures.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.local.flat import FlatLayer, FlatMovie, FlatScene, FlatSound, flatten

__all__ = ["arguments"]


def arguments(movie: FlatMovie, target: Path) -> list[str]:
    """Return the arguments of the one command that draws *movie* with the encoder settings of our ``preview``."""
    graph = _Graph(movie)
    graph.build()
    command = ["-hide_banner", "-loglevel", "error", "-y", *graph.inputs, "-filter_complex", ";".join(graph.chains)]
    command += ["-map", "[video]", *(["-map", "[sound]", "-c:a", "aac", "-b:a", "160k"] if movie.sounds else [])]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "23", "-pix_fmt", "yuv420p", "-threads", "2"]
    return [*command, "-t", f"{movie.seconds:.6f}", "-movflags", "+faststart", str(target)]


class _Graph:
    def __init__(self, movie: FlatMovie) -> None:
        self._movie = movie
        self.inputs: list[str] = []
        self.chains: list[str] = []
        self._files = 0
        self._names = 0

    def build(self) -> None:
        names = [self._scene(scene) for scene in self._movie.scenes]
        whole = self._joined(names)
        for layer in self._movie.overlays:
            whole = self._over(whole, layer)
        self.chains.append(f"[{whole}]format=yuv420p[video]")
        if self._movie.sounds:
            sounds = "".join(f"[{self._sound(sound)}]" for sound in self._movie.sounds)
            count = len(self._movie.sounds)
            mixed = f"amix=inputs={count}:normalize=0:duration=longest,apad,atrim=0:{self._movie.seconds:.6f}"
            self.chains.append(f"{sounds}{mixed}[sound]")

    def _input(self, path: Path, *, loop: bool = False) -> int:
        self.inputs += [*(["-stream_loop", "-1"] if loop else []), "-i", str(path)]
        self._files += 1
        return self._files - 1

    def _name(self) -> str:
        self._names += 1
        return f"n{self._names}"

    def _scene(self, scene: FlatScene) -> str:
        movie, name = self._movie, self._name()
        shade = "0x{:02x}{:02x}{:02x}".format(*scene.background)
        size = f"{movie.width}x{movie.height}"
        self.chains.append(f"color=c={shade}:s={size}:r={movie.fps:g}:d={scene.seconds:.6f},format=yuv420p[{name}]")
        for layer in scene.layers:
            name = self._over(name, layer)
        return name

    def _over(self, under: str, layer: FlatLayer) -> str:
        movie, name, out = self._movie, self._name(), self._name()
        count = round(layer.seconds * movie.fps)
        at = self._input(layer.path, loop=layer.moving)
        x, y = layer.x, layer.y
        size = f"scale={layer.width}:{layer.height}"
        if layer.moving:
            steps = [f"trim=duration={layer.seconds:.6f}", size, f"fps={movie.fps:g}"]
        elif layer.zoom is not None:
            begin, end = layer.zoom
            inside = (min(layer.width, movie.width), min(layer.height, movie.height))
            zoom = f"{begin:.4f}+({end - begin:.4f})*on/{count}"
            middle = "x='iw/2-(iw/zoom/2)':y='ih/2-(ih/zoom/2)'"
            view = f"zoompan=z='{zoom}':{middle}:d={count}:s={inside[0]}x{inside[1]}:fps={movie.fps:g}"
            steps = [size, f"crop={inside[0]}:{inside[1]}", view]
            x, y = max(0, x), max(0, y)
        else:
            steps = [size, f"loop=loop={count - 1}:size=1:start=0", f"setpts=N/{movie.fps:g}/TB"]
        if layer.fade_in or layer.fade_out:
            steps.append("format=yuva420p")
        if layer.fade_in:
            steps.append(f"fade=t=in:st=0:d={layer.fade_in:.3f}:alpha=1")
        if layer.fade_out:
            steps.append(f"fade=t=out:st={layer.seconds - layer.fade_out:.3f}:d={layer.fade_out:.3f}:alpha=1")
        steps.append(f"setpts=PTS-STARTPTS+{layer.start:.6f}/TB")
        self.chains.append(f"[{at}:v]{','.join(steps)}[{name}]")
        self.chains.append(f"[{under}][{name}]overlay=x={x}:y={y}:eof_action=pass[{out}]")
        return out

    def _joined(self, names: list[str]) -> str:
        scenes = self._movie.scenes
        if not any(scene.transition for scene in scenes):
            out = self._name()
            self.chains.append("".join(f"[{n}]" for n in names) + f"concat=n={len(names)}:v=1:a=0[{out}]")
            return out
        whole = names[0]
        for scene, name in zip(scenes[1:], names[1:], strict=True):
            out, even = self._name(), f"settb=AVTB,fps={self._movie.fps:g}"
            if scene.transition:
                style, seconds = scene.transition
                first, second = self._name(), self._name()
                self.chains.append(f"[{whole}]{even}[{first}]")
                self.chains.append(f"[{name}]{even}[{second}]")
                cross = f"xfade=transition={style}:duration={seconds:.6f}:offset={scene.start:.6f}"
                self.chains.append(f"[{first}][{second}]{cross}[{out}]")
            else:
                self.chains.append(f"[{whole}][{name}]concat=n=2:v=1:a=0[{out}]")
            whole = out
        return whole

    def _sound(self, sound: FlatSound) -> str:
        name, at = self._name(), self._input(sound.path, loop=True)
        steps = [f"atrim=duration={sound.seconds:.6f}", "asetpts=PTS-STARTPTS", f"volume={sound.volume:g}"]
        if sound.fade_in:
            steps.append(f"afade=t=in:st=0:d={sound.fade_in:.3f}")
        if sound.fade_out:
            steps.append(f"afade=t=out:st={sound.seconds - sound.fade_out:.3f}:d={sound.fade_out:.3f}")
        steps.append(f"adelay={round(sound.start * 1000)}:all=1")
        self.chains.append(f"[{at}:a]{','.join(steps)}[{name}]")
        return name


def _main() -> int:
    import imageio_ffmpeg

    with tempfile.TemporaryDirectory() as scratch:
        movie = flatten(Path(sys.argv[1]), assets=Path(sys.argv[3]), scratch=Path(scratch))
        command = [imageio_ffmpeg.get_ffmpeg_exe(), *arguments(movie, Path(sys.argv[2]))]
        return subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode


if __name__ == "__main__":
    sys.exit(_main())
