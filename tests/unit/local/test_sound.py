"""The mixed track, measured: levels, moments, joints. Short sounds made here; nothing is drawn."""

from __future__ import annotations

import itertools
import shutil
import wave
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from airflow_json2video.local.drawing import voice as voice_module
from airflow_json2video.local.drawing.audiogram import AudiogramLayer, Levels
from airflow_json2video.local.drawing.clips import read_sound
from airflow_json2video.local.drawing.encode import Encoder
from airflow_json2video.local.drawing.layers import open_layer
from airflow_json2video.local.drawing.sound import CEILING, SoundTrack
from airflow_json2video.local.drawing.voice import SpeechSynthesizer
from airflow_json2video.local.planning.plan import plan
from airflow_json2video.local.planning.resolve import MovieFault, resolve

RATE = 48_000
ESPEAK = shutil.which("espeak-ng")


def write_wav(path, samples, *, rate=RATE):
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def tone(seconds, *, pitch=440, level=0.5, rate=RATE):
    return level * np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate)


def beep(at, seconds, *, rate=RATE):
    """Silence with a beep of 50 ms in it."""
    samples = np.zeros(round(seconds * rate))
    start = round(at * rate)
    samples[start : start + rate // 20] = tone(0.05, pitch=1000, rate=rate)
    return samples


@pytest.fixture
def hear(tmp_path):
    """Mix a movie whose ``src`` are names of files here."""

    def mix(movie, *, probe=None, warnings=None):
        timeline = plan(resolve(movie), probe=probe)
        warnings = [] if warnings is None else warnings
        track = SoundTrack(
            timeline,
            find=lambda sound: tmp_path / sound.element["src"],
            warn=warnings.append,
            scratch=tmp_path / "track",
        )
        blocks = [b for frame in range(1, timeline.frames + 1) for b in track.blocks(until=frame)]
        return np.concatenate(blocks, axis=1)

    return mix


def audio(src, **more):
    return {"type": "audio", "src": src, "duration": -2, **more}


def level(track, start, end):
    return float(np.sqrt(np.mean(np.square(track[:, round(start * RATE) : round(end * RATE)], dtype=np.float64))))


def onsets(track, *, above=0.1, apart=0.1):
    """Moments at which sound sets in after silence."""
    found, last = [], -1e9
    for at in np.nonzero(np.abs(track[0]) > above)[0] / RATE:
        if at - last > apart:
            found.append(float(at))
        last = at
    return found


def jump(track):
    """The largest step from one sample to the next."""
    return float(np.abs(np.diff(track, axis=1)).max())


def test_the_track_is_as_long_as_the_frames(hear, tmp_path):
    write_wav(tmp_path / "a.wav", tone(1))
    assert hear({"fps": 30, "scenes": [{"duration": 1.5, "elements": [audio("a.wav")]}]}).shape == (2, 72_000)


@pytest.mark.parametrize(("volume", "times"), [(None, 1), (0, 0), (0.25, 0.25), (3, 3), (99, 10)])
def test_volume_multiplies_from_zero_to_ten(hear, tmp_path, volume, times):
    write_wav(tmp_path / "a.wav", tone(1.2, level=0.05))
    track = hear({"scenes": [{"duration": 1.2, "elements": [audio("a.wav", volume=volume)]}]})
    assert level(track, 0.2, 1) == pytest.approx(0.05 / np.sqrt(2) * times, rel=0.02, abs=1e-6)


def test_a_muted_clip_is_silent(hear, tmp_path):
    write_wav(tmp_path / "a.wav", tone(1))
    elements = [audio("a.wav", muted=True), audio("a.wav", volume=0.5)]
    track = hear({"scenes": [{"duration": 1, "elements": elements}]})
    assert level(track, 0.1, 0.9) == pytest.approx(0.25 / np.sqrt(2), rel=0.02)


def test_fades_are_even_slopes(hear, tmp_path):
    write_wav(tmp_path / "a.wav", tone(2))
    track = hear({"scenes": [{"duration": 2, "elements": [audio("a.wav", **{"fade-in": 0.5, "fade-out": 1})]}]})
    full = 0.5 / np.sqrt(2)
    heard = [level(track, at - 0.02, at + 0.02) / full for at in (0.125, 0.25, 0.75, 1.25, 1.5, 1.75)]
    assert heard == pytest.approx([0.25, 0.5, 1, 0.75, 0.5, 0.25], abs=0.03)


@pytest.mark.parametrize("rate", [RATE, 44_100, 22_050])
def test_a_beep_stays_where_it_belongs_however_often_it_loops(hear, tmp_path, rate):
    write_wav(tmp_path / "a.wav", beep(0.25, 0.5, rate=rate), rate=rate)
    track = hear({"scenes": [{"duration": 10, "elements": [audio("a.wav", loop=-1)]}]})
    assert onsets(track) == pytest.approx([0.25 + 0.5 * n for n in range(20)], abs=0.002)


def test_a_loop_has_no_gap_and_no_step(hear, tmp_path):
    write_wav(tmp_path / "a.wav", tone(0.5))  # 220 whole waves: it joins itself
    track = hear({"scenes": [{"duration": 3, "elements": [audio("a.wav", loop=-1)]}]})
    assert jump(track) < 0.5 * 2 * np.pi * 440 / RATE * 1.02
    assert min(level(track, t / 10, t / 10 + 0.1) for t in range(1, 29)) == pytest.approx(0.5 / np.sqrt(2), rel=0.01)


@pytest.mark.parametrize("kept", [20, 0])
def test_a_file_that_ends_in_the_middle_of_a_wave_does_not_click_where_it_loops(hear, tmp_path, monkeypatch, kept):
    monkeypatch.setattr("airflow_json2video.local.drawing.sound._MAX_CACHED", kept * RATE)
    write_wav(tmp_path / "a.wav", tone(1 + 0.25 / 440))  # its last sample is at the top of the wave
    track = hear({"scenes": [{"duration": 3, "elements": [audio("a.wav", loop=-1)]}]})
    assert jump(track) <= jump(track[:, RATE // 4 : RATE // 2]) * 1.2
    assert level(track, 0.9, 1.1) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


def test_a_number_of_loops_ends(hear, tmp_path):
    write_wav(tmp_path / "a.wav", beep(0, 0.4))
    track = hear({"scenes": [{"duration": 3, "elements": [audio("a.wav", loop=3)]}]})
    assert onsets(track) == pytest.approx([0, 0.4, 0.8], abs=0.003)


def test_a_long_loop_is_read_again_and_sounds_like_a_short_one(hear, tmp_path, monkeypatch):
    write_wav(tmp_path / "a.wav", beep(0.25, 0.5))
    movie = {"scenes": [{"duration": 4, "elements": [audio("a.wav", loop=-1)]}]}
    kept = hear(movie)
    monkeypatch.setattr("airflow_json2video.local.drawing.sound._MAX_CACHED", 0)
    assert np.array_equal(hear(movie), kept)


@pytest.mark.parametrize(("seek", "at"), [(0.5, 1.0), (1.25, 0.25), (-1, 0.5), (-9, 1.5)])
def test_seek_counts_from_the_start_or_from_the_end(hear, tmp_path, seek, at):
    write_wav(tmp_path / "a.wav", beep(1.5, 2))
    track = hear({"scenes": [{"duration": 2, "elements": [audio("a.wav", seek=seek)]}]})
    assert onsets(track) == pytest.approx([at], abs=0.001)


@pytest.mark.parametrize(("more", "warned"), [({"seek": 3}, True), ({"seek": 1.9}, False), ({"volume": 0}, False)])
def test_a_seek_after_the_end_is_silent_with_a_warning(hear, tmp_path, more, warned):
    write_wav(tmp_path / "a.wav", tone(2))
    warnings = []
    hear({"scenes": [{"duration": 2, "elements": [audio("a.wav", **more)]}]}, warnings=warnings)
    assert warnings == ["Scene #1, element #1: this audio is silent: its 'seek' is after its end"] * warned


def test_a_seek_far_into_a_file_is_exact_in_every_format(tmp_path):
    for name, codec in (
        ("a.mp3", "mp3"),
        ("a.m4a", "aac"),
        ("a.ogg", "libopus"),
        ("a.flac", "flac"),
        ("a.mkv", "aac"),
    ):
        samples = beep(8.25, 10).astype(np.float32)
        with av.open(str(tmp_path / name), "w") as out:
            stream = out.add_stream(codec, rate=RATE, layout="stereo")
            resampler = av.AudioResampler(format=stream.codec_context.format, layout="stereo", rate=RATE)
            frame = av.AudioFrame.from_ndarray(np.stack([samples, samples]), format="fltp", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
            size = stream.codec_context.frame_size or 4096
            fifo = av.AudioFifo()
            for piece in resampler.resample(frame):
                fifo.write(piece)
            while piece := fifo.read(size, partial=True):
                out.mux(stream.encode(piece))
            out.mux(stream.encode(None))
        track = np.concatenate(list(read_sound(tmp_path / name, seek=6.0)), axis=1)
        assert onsets(track) == pytest.approx([2.25], abs=0.004), name
        assert track.shape[1] == pytest.approx(4 * RATE, abs=2500), name


def test_sounds_keep_their_times_after_transitions(hear, tmp_path):
    write_wav(tmp_path / "a.wav", beep(0.5, 2))
    scene = {"duration": 2, "elements": [audio("a.wav")]}
    moved = {**scene, "transition": {"style": "fade", "duration": 0.4}}
    music = audio("a.wav", start=1.2)
    track = hear({"scenes": [scene, moved, moved], "elements": [music]}, probe=lambda where, element: 2.0)
    assert onsets(track) == pytest.approx([0.5, 1.7, 2.1, 3.7], abs=0.001)


def crossing(*names, seconds=1):
    """Scenes of 2 s with a sound each, the second entering over *seconds*."""
    scenes = [{"duration": 2, "elements": [audio(name)] if name else []} for name in names]
    scenes[1]["transition"] = {"duration": seconds}
    return {"fps": 25, "scenes": scenes}


def test_the_sound_of_a_scene_falls_while_the_next_one_enters_and_rises(hear, tmp_path):
    write_wav(tmp_path / "a.wav", 0.5 + 0 * tone(2))  # the worst case: a level that never is at nought
    old, new = (hear(crossing(*names)) for names in (("a.wav", None), (None, "a.wav")))
    assert jump(old) < 0.01
    assert jump(new) < 0.01
    looks = [level(old, at, at + 0.01) for at in np.arange(0.95, 2.1, 0.05)]
    assert looks[0] == pytest.approx(0.5, abs=0.001)
    assert all(before >= after for before, after in itertools.pairwise(looks))
    assert looks[-1] == 0
    rising = [level(new, at, at + 0.01) for at in np.arange(0.95, 2.1, 0.05)]
    assert rising[0] == 0
    assert all(before <= after for before, after in itertools.pairwise(rising))
    assert rising[-1] == pytest.approx(0.5, abs=0.001)
    for track in (old, new):
        assert level(track, 1.495, 1.505) == pytest.approx(0.5 / np.sqrt(2), abs=0.001)


def test_two_unlike_sounds_stay_as_loud_while_they_cross(hear, tmp_path):
    write_wav(tmp_path / "a.wav", tone(2, pitch=440, level=0.3))
    write_wav(tmp_path / "b.wav", tone(2, pitch=700, level=0.3))
    track = hear(crossing("a.wav", "b.wav"))
    looks = [level(track, at, at + 0.1) for at in np.arange(0.1, 2.8, 0.1)]
    assert looks == pytest.approx([0.3 / np.sqrt(2)] * len(looks), rel=0.03)


def test_without_a_transition_sounds_are_not_crossfaded(hear, tmp_path):
    write_wav(tmp_path / "a.wav", 0.4 + 0 * tone(4))
    cut = hear({"scenes": [{"duration": 2, "elements": [audio("a.wav")]}, {"duration": 2}]})
    assert level(cut, 1.9, 1.99) == pytest.approx(0.4, abs=0.001)
    over_all = {**crossing(None, None), "elements": [audio("a.wav")]}
    assert level(hear(over_all), 0.1, 2.9) == pytest.approx(0.4, abs=0.001)


def test_a_cut_sound_starts_and_ends_without_a_click(hear, tmp_path):
    write_wav(tmp_path / "a.wav", 0.5 + 0 * tone(2))  # the worst case: it never is at nought
    track = hear({"scenes": [{"duration": 2, "elements": [audio("a.wav", seek=0.3, start=0.4, duration=1)]}]})
    assert jump(track) < 0.01
    assert level(track, 0.41, 1.39) == pytest.approx(0.5, abs=0.001)
    assert level(track, 0, 0.4) + level(track, 1.4, 2) == 0


def test_a_file_that_ends_before_its_element_ends_without_a_click(hear, tmp_path):
    write_wav(tmp_path / "a.wav", 0.5 + 0 * tone(1))
    assert jump(hear({"scenes": [{"duration": 2, "elements": [audio("a.wav")]}]})) < 0.01


def test_a_mix_that_is_too_loud_is_limited_without_clipping(hear, tmp_path):
    write_wav(tmp_path / "loud.wav", tone(1, pitch=100, level=0.9))
    write_wav(tmp_path / "soft.wav", tone(3, pitch=100, level=0.2))
    elements = [audio("loud.wav", volume=4, start=1), audio("soft.wav")]
    track = hear({"scenes": [{"duration": 3, "elements": elements}]})
    assert np.abs(track).max() <= CEILING
    assert level(track, 1.2, 1.8) == pytest.approx(CEILING / np.sqrt(2), rel=0.02)
    # What is cut off flat is rich in overtones; what is turned down is not.
    part = track[0, round(1.2 * RATE) : round(1.8 * RATE)]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part))))
    peak = round(100 * len(part) / RATE)
    assert spectrum[peak * 2 :].max() < spectrum[peak] * 0.01
    # And what is soft is left alone, but for the moment before.
    assert level(track, 0.2, 0.8) == pytest.approx(0.2 / np.sqrt(2), rel=0.001)
    assert level(track, 2.2, 2.8) == pytest.approx(0.2 / np.sqrt(2), rel=0.001)


def test_the_limiter_does_not_depend_on_the_block_size(tmp_path):
    write_wav(tmp_path / "a.wav", tone(1, pitch=77, level=0.9))
    timeline = plan(resolve({"scenes": [{"duration": 1, "elements": [audio("a.wav", volume=3)]}]}))

    def whole(steps):
        track = SoundTrack(timeline, find=lambda _: tmp_path / "a.wav", warn=print, scratch=tmp_path / "t")
        return np.concatenate([b for until in steps for b in track.blocks(until=until)], axis=1)

    assert np.allclose(whole([25]), whole([3, 4, 11, 25]), atol=1e-7)


def test_a_clip_and_its_sound_stay_together_over_its_loops(hear, tmp_path):
    with Encoder(tmp_path / "clip.mp4", width=64, height=64, fps=Fraction(25), mode="preview", sound=True) as out:
        for _ in range(20):
            out.picture(Image.new("RGB", (64, 64)))
        samples = np.stack([beep(0.3, 0.7)] * 2).astype(np.float32)  # shorter than the pictures: 0.8 s
        for at in range(0, samples.shape[1], 1024):
            out.samples(np.ascontiguousarray(samples[:, at : at + 1024]))
    clip = {"type": "video", "src": "clip.mp4", "loop": 4, "duration": -2}
    track = hear({"scenes": [{"duration": 3.2, "elements": [clip]}]})
    assert onsets(track) == pytest.approx([0.3, 1.1, 1.9, 2.7], abs=0.004)


def test_a_source_that_is_not_a_sound_fails_with_the_message_of_the_service(hear, tmp_path):
    (tmp_path / "a.wav").write_text("<html>")
    wrong = "The URL provided is not a audio file and cannot be used as a source for a audio element"
    with pytest.raises(MovieFault, match=f"Scene #1, element #1: {wrong}"):
        hear({"scenes": [{"duration": 1, "elements": [audio("a.wav")]}]})


# SpeechSynthesizer

VOICE = {"type": "voice", "text": "one two three four five", "voice": "en-GB-LibbyNeural"}


def wav(path):
    with wave.open(str(path)) as sound:
        samples = np.frombuffer(sound.readframes(sound.getnframes()), dtype="<i2") / 32768
        return samples, sound.getframerate()


@pytest.fixture
def voices(tmp_path):
    warned = []
    made = SpeechSynthesizer(folder=tmp_path / "voices", warn=warned.append)
    return made, warned


def test_without_espeak_a_voice_is_a_tone_and_a_pause_per_word(monkeypatch, tmp_path):
    monkeypatch.setattr(voice_module.shutil, "which", lambda name: None)
    warned = []
    spoken = SpeechSynthesizer(folder=tmp_path, warn=warned.append).synthesize("Scene #1, element #2", VOICE)
    assert warned == ["Scene #1, element #2: tones replace this voice: espeak-ng is not installed"]
    assert spoken.seconds == pytest.approx(2.0, abs=0.001)
    samples, rate = wav(spoken.path)
    assert 0.05 < np.abs(samples).max() < 0.2
    stereo = np.stack([np.interp(np.arange(2 * RATE) / RATE, np.arange(len(samples)) / rate, samples)] * 2)
    assert onsets(stereo, above=0.02, apart=0.06) == pytest.approx([0, 0.4, 0.8, 1.2, 1.6], abs=0.03)


def test_a_voice_is_synthesized_once_and_other_voices_differ(monkeypatch, voices):
    made, _ = voices
    monkeypatch.setattr(made, "_speaker", None)
    first, again = made.synthesize("a", VOICE), made.synthesize("b", dict(VOICE))
    other = made.synthesize("c", {**VOICE, "voice": "de-DE-ConradNeural"})
    assert first is again
    assert first.path.read_bytes() != other.path.read_bytes()


@pytest.mark.parametrize(
    ("element", "language"),
    [
        ({"voice": "en-GB-LibbyNeural"}, "en-gb"), ({}, "en-gb"), ({"voice": "en-US-EmmaMultilingualNeural"}, "en-us"),
        ({"voice": "de-DE-ConradNeural"}, "de-de"), ({"voice": "zh-CN-XiaoxiaoNeural"}, "cmn"),
        ({"voice": "Daniel"}, "en-us"), ({"voice": "Daniel", "model-settings": {"language_code": "fr"}}, "fr"),
        ({"voice": "x", "model-settings": {"language_code": "--help"}}, "en-us"),
    ],
)  # fmt: skip
def test_the_language_is_that_of_the_voices_name(element, language):
    assert voice_module._language(element) == language


def speaker(tmp_path, body):
    program = tmp_path / "espeak-ng"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return str(program)


def test_a_speaker_that_hangs_or_fails_is_replaced_by_a_tone(monkeypatch, voices, tmp_path):
    made, warned = voices
    monkeypatch.setattr(voice_module, "TIME_LIMIT", 0.3)
    monkeypatch.setattr(made, "_speaker", speaker(tmp_path, "exec sleep 5"))
    assert made.synthesize("a", VOICE).seconds == pytest.approx(2, abs=0.001)
    monkeypatch.setattr(made, "_speaker", speaker(tmp_path, "echo no voice >&2; exit 1"))
    made.synthesize("b", {**VOICE, "text": "other"})
    assert "took longer than" in warned[0]
    assert "failed (no voice)" in warned[1]


def test_the_text_of_a_voice_is_never_an_argument(monkeypatch, voices, tmp_path):
    made, _ = voices
    log = tmp_path / "log"
    monkeypatch.setattr(made, "_speaker", speaker(tmp_path, f'echo "$@" > {log}; cat >> {log}; exit 1'))
    made.synthesize("a", {**VOICE, "text": "-w /tmp/x <break/> $(touch y)"})
    arguments, said = log.read_text().split("\n", 1)
    assert "touch" not in arguments
    assert "--stdin" in arguments
    assert said.strip() == "-w /tmp/x $(touch y)"


@pytest.mark.skipif(ESPEAK is None, reason="espeak-ng is not installed")
def test_espeak_synthesizes_the_text_and_its_length_is_measured(voices):
    made, warned = voices
    spoken = made.synthesize("a", {**VOICE, "text": "<speak>Welcome to the garden. Listen to the bees.</speak>"})
    assert warned == []
    samples, rate = wav(spoken.path)
    assert spoken.seconds == pytest.approx(len(samples) / rate)
    assert 1.5 < spoken.seconds < 6
    assert 0 <= spoken.begins < 0.3
    assert spoken.seconds - 1 < spoken.ends <= spoken.seconds
    assert np.abs(samples).max() > 0.1
    slow = made.synthesize("b", {**VOICE, "model-settings": {"voice_settings": {"speed": 0.7}}})
    quick = made.synthesize("c", {**VOICE, "model-settings": {"voice_settings": {"speed": 1.2}}})
    assert slow.seconds > quick.seconds * 1.2


@pytest.mark.skipif(ESPEAK is None, reason="espeak-ng is not installed")
def test_a_language_that_espeak_lacks_is_spoken_in_english(voices):
    made, warned = voices
    made.synthesize("a", {**VOICE, "voice": "xx-XX-NobodyNeural"})
    assert warned == []


# Audiograms


def bars(tmp_path, movie):
    """Return the audiogram of a movie's scenes, or of the movie."""
    timeline = plan(resolve(movie))
    layers = [*(layer for scene in timeline.scenes for layer in scene.layers), *timeline.overlays]
    layer = next(x for x in layers if x.kind == "audiogram")
    levels = Levels(timeline, find=lambda sound: tmp_path / sound.element["src"], folder=tmp_path / "levels")
    size = (timeline.width, timeline.height)
    return AudiogramLayer(layer, levels.file(layer.element), size=size, fps=timeline.fps)


def tall(layer, frame):
    """Return the height of the bars in the middle third, around the current frame."""
    picture = layer.sprite(frame).picture.getchannel("A")
    middle = picture.crop((picture.width * 2 // 5, 0, picture.width * 3 // 5, picture.height))
    box = middle.getbbox()
    return box[3] - box[1]


AUDIOGRAM = {
    "type": "audiogram", "x": 20, "y": 100, "width": 240, "height": 60, "color": "#2ea4ff", "opacity": 0.8,
}  # fmt: skip


def test_an_audiogram_follows_the_loudness_and_is_flat_in_silence(tmp_path):
    write_wav(tmp_path / "a.wav", np.concatenate([np.zeros(2 * RATE), tone(2, level=0.5), np.zeros(2 * RATE)]))
    layer = bars(tmp_path, {"scenes": [{"duration": 6, "elements": [audio("a.wav"), AUDIOGRAM]}]})
    silent, loud = tall(layer, 20), tall(layer, 75)
    assert silent <= 4
    assert loud == pytest.approx(60 * 0.5**0.5, abs=3)
    assert tall(layer, 140) == silent
    assert layer.key(5) == layer.key(10)
    assert layer.key(74) != layer.key(60)
    sprite = layer.sprite(75)
    assert (sprite.x, sprite.y, sprite.picture.size) == (20, 100, (240, 60))
    assert sprite.picture.getchannel("A").getextrema() == (0, 204)
    assert sprite.picture.getpixel((120, 30)) == (0x2E, 0xA4, 0xFF, 204)


def test_amplitude_multiplies_and_zero_is_flat(tmp_path):
    write_wav(tmp_path / "a.wav", tone(4, level=0.25))
    heights = []
    for amplitude in (0, 2.5, 5, 10):
        elements = [audio("a.wav"), {**AUDIOGRAM, "amplitude": amplitude}]
        heights.append(tall(bars(tmp_path, {"scenes": [{"duration": 4, "elements": elements}]}), 50))
    assert heights[0] <= 4
    assert heights[1:] == pytest.approx([15, 30, 60], abs=2)


def test_an_audiogram_can_be_masked_and_rotated_and_warns_about_the_rest(tmp_path):
    write_wav(tmp_path / "a.wav", tone(4, level=0.5))
    mask = Image.new("L", (40, 40), 0)
    mask.paste(255, (0, 0, 20, 40))
    mask.save(tmp_path / "mask.png")

    def seen(**more):
        movie = {"scenes": [{"duration": 4, "elements": [audio("a.wav"), {**AUDIOGRAM, **more}]}]}
        timeline = plan(resolve(movie))
        levels = Levels(timeline, find=lambda sound: tmp_path / "a.wav", folder=tmp_path / "levels")

        def find(layer):
            return tmp_path / "mask.png" if layer.element["type"] == "mask" else levels.file(layer.element)

        warned = []
        (layer,) = timeline.scenes[0].layers
        opened = open_layer(layer, size=(640, 360), fps=timeline.fps, find=find, warn=warned.append)
        sprite = opened.sprite(50)
        left, top, right, bottom = sprite.picture.getchannel("A").getbbox()
        return (sprite.x + left, sprite.y + top, sprite.x + right, sprite.y + bottom), warned

    whole, none = seen()
    (left, _, right, _), _ = seen(mask="mask.png")
    assert (left, right) == (whole[0], pytest.approx(20 + 240 / 2, abs=4))
    (left, top, right, bottom), _ = seen(rotate={"angle": 90})
    assert bottom - top > 3 * (right - left)
    _, warned = seen(resize="cover")
    assert (none, warned) == ([], ["Scene #1, element #2: not drawn: resize"])


def test_an_audiogram_rises_with_its_scene(tmp_path):
    write_wav(tmp_path / "a.wav", tone(4, level=0.5))
    movie = crossing(None, "a.wav")
    movie["scenes"][1]["elements"].append(AUDIOGRAM)
    layer = bars(tmp_path, movie)
    early, late, over = (tall(layer, frame) for frame in (0, 8, 40))
    assert early < late < over
    assert early < over - 8
    assert over == pytest.approx(60 * 0.5**0.5, abs=3)


def test_an_audiogram_shows_its_own_container_only(tmp_path):
    write_wav(tmp_path / "a.wav", tone(4, level=0.5))
    scene = {"duration": 4, "elements": [AUDIOGRAM]}
    assert tall(bars(tmp_path, {"scenes": [scene], "elements": [audio("a.wav")]}), 50) <= 4
    movie = {"scenes": [{"duration": 4, "elements": [audio("a.wav")]}], "elements": [AUDIOGRAM]}
    assert tall(bars(tmp_path, movie), 50) > 30
