"""``json2video local``, run in this process; test_restart runs it in a subprocess."""

from __future__ import annotations

import io
import json
import re
import signal
from pathlib import Path

import av
import pytest
from PIL import Image

from airflow_json2video.commands import main
from airflow_json2video.local.cli.error_paths import in_document

ROOT = Path(__file__).parents[3]
BLUE, GREEN, RED = (67, 146, 241), (11, 132, 87), (200, 30, 30)


def scene(color, duration=1, *, transition=None, elements=(), **more):
    ground = "#{:02x}{:02x}{:02x}".format(*color)
    entering = {"transition": {"style": transition, "duration": 0.4}} if transition else {}
    return {"duration": duration, "background-color": ground, "elements": list(elements), **entering, **more}


COLORS = {"width": 160, "height": 90, "scenes": [scene(BLUE), scene(GREEN, transition="wipeleft"), scene(RED)]}


@pytest.fixture
def write(tmp_path):
    def write(movie, name="movie.json"):
        file = tmp_path / name
        file.write_text(movie if isinstance(movie, str) else json.dumps(movie))
        return str(file)

    return write


@pytest.fixture
def run(capsys):
    """Run a command; returns its exit code, standard output and standard error."""

    def run(*arguments):
        capsys.readouterr()
        try:
            code = main(["local", *map(str, arguments)])
        except SystemExit as ended:
            code = ended.code
        return code, *capsys.readouterr()

    return run


def is_close(one, other, by=12):
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) <= by


def test_a_wrong_argument_or_missing_file_is_exit_code_2(run, write, tmp_path):
    assert run("plan", tmp_path / "nowhere.json")[0] == 2
    assert run("plan", write(COLORS), "--var", "nothing")[0] == 2
    assert run("frame", write(COLORS), "--at", "9", "-o", tmp_path / "f.png")[0] == 2
    assert run("frame", write(COLORS), "--at", "-1", "-o", tmp_path / "f.png")[0] == 2
    assert run("frame", write(COLORS), "-o", tmp_path / "f.nonsense")[0] == 2
    assert run("sheet", tmp_path / "nowhere.mp4", "-o", tmp_path / "s.png")[0] == 2
    assert run("nonsense")[0] == 2


@pytest.mark.parametrize("command", ["render", "frame", "sheet", "plan"])
def test_a_movie_that_cannot_be_drawn_is_exit_code_1_with_the_path(run, write, tmp_path, command):
    movie = write({"scenes": [{"duration": 1}, {"elements": [{"type": "text", "text": "a"}, {"type": "video"}]}]})
    output = () if command == "plan" else ("-o", tmp_path / "out.png")
    code, out, err = run(command, movie, *output)
    assert code == 1
    assert "error: scenes[1].elements[1].src: The element type 'video' requires a 'src' property." in err
    assert not (tmp_path / "out.png").exists()
    assert out == ""


def test_a_movie_that_is_not_json_is_exit_code_1(run, write, tmp_path):
    code, _, err = run("render", write('{"scenes": [],}'), "-o", tmp_path / "out.mp4")
    assert (code, "remove a superfluous comma" in err) == (1, True)


# --- where in the document -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "path", "rest"),
    [
        ("Scene #2, element #3: Failed to download 'x' (404)", "scenes[1].elements[2].src", "Failed to download"),
        ("Scene #1, element #2: Unknown element type 'x'", "scenes[0].elements[1].type", "Unknown"),
        ("Scene #1: the transition was cut to 0.50 s", "scenes[0].transition", "the transition"),
        ("Scene #4 has no length and is not shown", "scenes[3]", "has no length"),
        ("Movie, element #1: not drawn: mask", "elements[0]", "not drawn: mask"),
        ("Movie: the variable 'a' is not defined", "", "the variable"),
        ("Movie duration cannot be zero", "", "Movie duration"),
        ("Invalid resolution 'huge'", "resolution", "Invalid"),
    ],
)
def test_the_services_words_become_a_place_in_the_document(text, path, rest):
    assert in_document(text, {})[0] == path
    assert in_document(text, {})[1].startswith(rest)


def test_an_element_of_an_imported_scene_has_the_path_where_it_is_written():
    movie = {"scenes": [{"id": "a", "elements": [{}, {}]}, {"import": "a", "elements": [{}]}]}
    assert in_document("Scene #2, element #1: x", movie)[0] == "scenes[1].elements[0]"
    assert in_document("Scene #2, element #3: x", movie)[0] == "scenes[0].elements[1]"


# --- plan -------------------------------------------------------------------------------------------

PLANNED = {
    "resolution": "hd",
    "variables": {"rooms": [{"name": "Loft"}, {"name": "Attic"}], "quiet": False},
    "scenes": [
        scene(
            BLUE, 2, elements=[{"type": "text", "text": "{{ name }}", "start": 0.4, "fade-in": 0.2}], iterate="rooms"
        ),
        scene(
            GREEN,
            3,
            transition="fade",
            elements=[
                {"type": "video", "src": "https://media.example.com/clips/a%20b.mp4", "muted": True},
                {"type": "image", "prompt": "A quiet loft", "model": "flux-schnell", "condition": "{{ quiet }}"},
            ],
        ),
    ],
    "elements": [{"type": "audio", "src": "https://media.example.com/song.mp3", "volume": 0.4, "duration": -2}],
}


def test_plan_shows_scenes_elements_times_transitions_sounds_and_warnings(run, write):
    code, out, _ = run("plan", write(PLANNED))
    lines = [re.sub(r"\[[.=]+\] +", "", line).strip() for line in out.splitlines()]
    assert code == 0
    assert re.search(r"1280x720, 0:06.60 \(165 frames at 25 fps\), 7 credits", lines[0])
    assert "0:00.00  0:02.00  scene 1: 2 s on #4392f1" in lines
    assert '0:02.40  0:04.00  text       "Attic"  fade-in 0.2 s' in lines
    assert "0:03.60  0:06.60  scene 3 from scenes[1]: 3 s on #0b8457, enters by fade over 0.4 s" in lines
    assert "0:03.60  0:06.60  video      a b.mp4 (media.example.com)" in lines
    assert "0:00.00  0:06.60  audio      song.mp3 (media.example.com), volume 0.4" in lines
    assert "generated" not in out  # its condition does not hold
    assert "warnings (1)" in lines
    assert any(line.startswith("scenes[1].elements[0].src: its length is unknown") for line in lines)


def test_plan_prints_the_same_as_json(run, write):
    _, out, _ = run("plan", write(PLANNED), "--json")
    facts = json.loads(out)
    assert (facts["duration"], facts["frames"], facts["credits"]) == (6.6, 165, 7)
    assert [s["path"] for s in facts["scenes"]] == ["scenes[0]", "scenes[0]", "scenes[1]"]
    assert facts["scenes"][2]["transition"] == {"style": "fade", "duration": 0.4}
    (text,) = facts["scenes"][1]["elements"]
    assert (text["path"], text["start"], text["end"], text["shows"]) == ("scenes[0].elements[0]", 2.4, 4.0, '"Attic"')
    assert facts["warnings"][0]["path"] == "scenes[1].elements[0].src"


def test_the_docs_show_what_plan_prints(run, monkeypatch):
    monkeypatch.chdir(ROOT)
    params = 'params={"shop": "North Wharf Roastery"}'
    _, out, _ = run("plan", "dags_examples/movies/weekly_report.json", "--var", params)
    assert out == (ROOT / "docs" / "snippets" / "plan.txt").read_text()


def test_plan_measures_clips_with_measure(run, write, tmp_path):
    clip = tmp_path / "assets" / "media.example.com" / "clip.mp4"
    assert run("render", write({**COLORS, "scenes": [scene(BLUE, 3)]}), "-o", clip)[0] == 0
    movie = write({"scenes": [{"elements": [{"type": "video", "src": "https://media.example.com/clip.mp4"}]}]})
    assert json.loads(run("plan", movie, "--json")[1])["duration"] == 5
    measured = run("plan", movie, "--json", "--measure", "--assets", tmp_path / "assets")[1]
    assert json.loads(measured)["duration"] == 3


def test_a_movie_that_names_a_template_is_read_from_a_folder(run, write, tmp_path):
    write(COLORS, "abc123def456ghi789jk.json")
    movie = write({"template": "abc123def456ghi789jk"})
    assert json.loads(run("plan", movie, "--json", "--templates", tmp_path)[1])["width"] == 160
    code, _, err = run("plan", write({"template": "../movie"}), "--templates", tmp_path)
    assert (code, "does not exist" in err) == (2, True)


# --- frames -----------------------------------------------------------------------------------------


def decoded(path):
    with av.open(str(path)) as container:
        return [frame.to_image() for frame in container.decode(video=0)]


def test_frame_draws_the_frame_of_the_video_at_that_time(run, write, tmp_path):
    movie = write(COLORS)
    assert run("render", movie, "-o", tmp_path / "out.mp4")[0] == 0
    video = decoded(tmp_path / "out.mp4")
    assert len(video) == 65
    for moment in (0.0, 0.5, 0.8, 1.5, 2.0, 2.6):  # 0.8 lies inside the wipe
        code, out, _ = run("frame", movie, "--at", moment, "-o", tmp_path / "f.png")
        assert code == 0
        drawn, shown = Image.open(tmp_path / "f.png"), video[min(64, int(moment * 25 + 1e-6))]
        assert drawn.size == (160, 90)
        for x in range(8, 160, 16):  # a frame of the wipe moves by 16
            assert is_close(drawn.getpixel((x, 45)), shown.getpixel((x, 45)), by=16), (moment, x, out)


def test_frame_warns_about_what_it_cannot_draw(run, write, tmp_path):
    movie = write({**COLORS, "scenes": [scene(BLUE, 1, elements=[{"type": "component", "component": "basic/000"}])]})
    code, _, err = run("frame", movie, "-o", tmp_path / "f.png")
    assert (code, "warning: scenes[0].elements[0]: " in err) == (0, True)


def colors_of(sheet, tiles, size=(160, 90), columns=4):
    """The colors in the middle of the tiles, which stand 12 pixels apart under a line of 24."""
    picture = Image.open(sheet).convert("RGB")
    places = [divmod(tile, columns) for tile in tiles]
    return [picture.getpixel((12 + c * (size[0] + 12) + 80, 48 + r * (size[1] + 36) + 45)) for r, c in places]


@pytest.mark.parametrize("source", ["movie.json", "out.mp4"])
def test_a_sheet_shows_frames_of_a_movie_or_a_video_in_order(run, write, tmp_path, source):
    movie = write(COLORS)
    if source == "out.mp4":
        assert run("render", movie, "-o", tmp_path / "out.mp4")[0] == 0
    code, out, _ = run("sheet", tmp_path / source, "-o", tmp_path / "sheet.png", "--frames", 6)
    assert code == 0
    assert "700x300, 6 frames of 2.60 s" in out
    found = colors_of(tmp_path / "sheet.png", [0, 1, 3, 4, 5])
    assert all(is_close(a, b) for a, b in zip(found, [BLUE, BLUE, GREEN, RED, RED], strict=True)), found


def test_render_writes_its_sheet_and_prints_its_result_as_json(run, write, tmp_path):
    sheet = tmp_path / "sheet.jpg"
    code, out, err = run("render", write(COLORS), "-o", tmp_path / "out.mp4", "--sheet", sheet, "--json")
    assert code == 0
    result = json.loads(out)
    assert (result["frames"], result["width"], result["outcome"]) == (65, 160, "done")
    with Image.open(sheet) as picture:
        assert picture.size == (700, 426)
    assert is_close(colors_of(sheet, [11])[0], RED)
    assert "frame 65 of 65" in err  # no terminal, so a line a quarter
    assert err.count("\n") <= 4


def test_sheet_refuses_a_file_that_is_not_a_video(run, tmp_path):
    (tmp_path / "page.mp4").write_text("<html></html>")
    code, _, err = run("sheet", tmp_path / "page.mp4", "-o", tmp_path / "sheet.png")
    assert (code, "is not a video" in err) == (1, True)


def test_on_a_terminal_a_bar_shows_how_far_a_render_is(monkeypatch):
    from airflow_json2video.progress import progress_bar

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr("sys.stderr", Terminal())
    import sys

    with progress_bar("out.mp4", formatter=lambda done, total: f"frame {done} of {total}", before="plan") as update:
        update(30, 60)
    assert "frame 30 of 60" in sys.stderr.getvalue()
    assert "50%" in sys.stderr.getvalue()


def test_serve_refuses_unknown_settings(run):
    code, _, err = run("serve", "--set", "no_such_setting=1")
    assert (code, "unknown setting" in err) == (2, True)


def test_serve_refuses_a_missing_or_invalid_scenario(run, tmp_path, monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(signal, "set_wakeup_fd", lambda *_: -1)
    (tmp_path / "wrong.json").write_text('{"credits": 60}')
    for file, reason in (("none.json", "No such file"), ("wrong.json", "unknown key of a scenario: 'credits'")):
        code, _, err = run("serve", "--mode", "instant", "--scenario", tmp_path / file)
        assert (code, reason in err) == (2, True)
