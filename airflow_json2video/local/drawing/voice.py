"""Synthesizes voices: with espeak-ng if it is installed, else as tones of the same length."""

from __future__ import annotations

import array
import hashlib
import math
import re
import shutil
import subprocess
import sys
import wave
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_json2video.local.planning.speech import (
    WORDS_PER_SECOND,
    estimated_seconds,
    speed_of,
    spoken_text,
)

__all__ = ["SpeechClip", "SpeechSynthesizer"]

TIME_LIMIT = 60.0
"""Timeout of espeak-ng for one text, in real seconds."""
_WORDS_PER_MINUTE = 165
_LOCALE = re.compile(r"\b([a-z]{2,3})-([A-Z]{2})\b")
# Languages with a different name in espeak-ng.
_LANGUAGES = {"zh": "cmn", "no": "nb", "fil": "en", "iw": "he"}
_TONE_RATE = 24_000
_LOUD = 400  # of 32768: softer is silence


@dataclass(frozen=True, kw_only=True)
class SpeechClip:
    """The sound of a voice. Times are seconds.

    :param seconds: of the file.
    :param begins: start of the first word.
    :param ends: end of the last word.
    """

    path: Path
    seconds: float
    begins: float
    ends: float


class SpeechSynthesizer:
    """Synthesizes each voice once, for its length, its sound and the captions.

    :param folder: for the sounds; created when needed.
    :param warn: called for every voice that is replaced by tones.
    """

    def __init__(self, *, folder: Path, warn: Callable[[str], None]) -> None:
        self._folder = folder
        self._warn = warn
        self._speaker = shutil.which("espeak-ng")
        self._made: dict[str, tuple[SpeechClip, str]] = {}

    def synthesize(self, where: str, element: Mapping[str, Any]) -> SpeechClip:
        """Return the sound of a ``voice`` element."""
        text, name, speed = spoken_text(element), _language(element), speed_of(element)
        key = hashlib.sha256(f"{name}\n{element.get('voice')}\n{speed}\n{text}".encode()).hexdigest()[:24]
        if key not in self._made:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"{key}.wav"
            lack = self._speak(text, path, language=name, speed=speed)
            if lack:
                _write_tones(element, path)
            self._made[key] = (_measured(path), lack)
        clip, lack = self._made[key]
        if lack:
            self._warn(f"{where}: tones replace this voice: {lack}")
        return clip

    def _speak(self, text: str, path: Path, *, language: str, speed: float) -> str:
        """Synthesize a text to a file with espeak-ng; return an error, or nothing."""
        if self._speaker is None:
            return "espeak-ng is not installed"
        partial = path.with_suffix(".part")
        for name in dict.fromkeys((language, language.split("-")[0], "en")):
            command = [
                self._speaker,
                "-v",
                name,
                "-s",
                f"{_WORDS_PER_MINUTE * speed:.0f}",
                "--stdin",
                "-w",
                str(partial),
            ]
            try:
                done = subprocess.run(  # noqa: S603 - the text is passed on standard input
                    command, input=text.encode(), capture_output=True, timeout=TIME_LIMIT, check=False
                )
            except subprocess.TimeoutExpired:
                return f"espeak-ng took longer than {TIME_LIMIT:.0f} s"
            except OSError as error:
                return f"espeak-ng cannot be run ({error.strerror})"
            if done.returncode == 0 and partial.is_file() and partial.stat().st_size > 100:
                partial.replace(path)
                return ""
        return f"espeak-ng failed ({done.stderr.decode(errors='replace').strip()[:100]})"


def _language(element: Mapping[str, Any]) -> str:
    """Return the language in espeak-ng's notation: ``en-gb`` for ``en-GB-LibbyNeural``."""
    settings = element.get("model-settings")
    code = settings.get("language_code") if isinstance(settings, Mapping) else None
    match = _LOCALE.search(str(element.get("voice") or ("" if code else "en-GB-LibbyNeural")))
    if match:
        language = _LANGUAGES.get(match[1], match[1])
        return f"{language}-{match[2].lower()}" if language == match[1] else language
    code = str(code or "en-us").lower()
    return code if re.fullmatch(r"[a-z]{2,3}(-[a-z0-9]{2,4})?", code) else "en-us"


def _write_tones(element: Mapping[str, Any], path: Path) -> None:
    """Write a soft tone and a pause for each word; every voice has its own pitch."""
    words = len(spoken_text(element).split())
    total = round(estimated_seconds(element) * _TONE_RATE)
    slot = _TONE_RATE / (WORDS_PER_SECOND * speed_of(element))
    base = 150.0 + zlib.crc32(str(element.get("voice") or "").encode()) % 80
    shapes = [_tone(base * pitch, round(slot * 0.7)) for pitch in (1.0, 1.125, 0.95, 1.05)]
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(_TONE_RATE)
        at = 0
        for number in range(words):
            start = round(number * slot)
            tone = shapes[number * 7 % len(shapes)]
            out.writeframes(bytes(2 * (start - at)) + tone)
            at = start + len(tone) // 2
        out.writeframes(bytes(2 * max(0, total - at)))


def _tone(pitch: float, count: int) -> bytes:
    samples = array.array("h")
    for n in range(count):
        swell = math.sin(math.pi * n / count) ** 0.5 * min(1.0, n / 240, (count - n) / 240)
        turn = 2 * math.pi * pitch * n / _TONE_RATE
        value = math.sin(turn) + 0.4 * math.sin(2 * turn) + 0.2 * math.sin(3 * turn)
        samples.append(round(2600 * swell * value))
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


def _measured(path: Path) -> SpeechClip:
    with wave.open(str(path), "rb") as sound:
        rate, count, channels = sound.getframerate(), sound.getnframes(), sound.getnchannels()
        # espeak-ng does not write the length into the header if it cannot seek in the file.
        samples = array.array("h", sound.readframes(count))
    if sys.byteorder == "big":
        samples.byteswap()
    count = len(samples) // channels
    step = max(1, rate // 100)
    steps = range(0, count, step)

    def loud(i: int) -> bool:
        part = samples[i * channels : (i + step) * channels]
        return max(part) > _LOUD or min(part) < -_LOUD

    first = next((i for i in steps if loud(i)), 0)
    last = next((i for i in reversed(steps) if loud(i)), count)
    seconds = count / rate
    return SpeechClip(path=path, seconds=seconds, begins=first / rate, ends=min(seconds, (last + step) / rate))
