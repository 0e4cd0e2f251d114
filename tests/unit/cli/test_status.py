"""``status``, ``list``, ``download`` and ``balance``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from airflow_json2video.hooks.json2video import Json2VideoHook

ROOT = Path(__file__).parents[3]


def test_status_and_list_show_renders(run, service, movie):
    _, out, _ = run("render", movie, "--json")
    project = json.loads(out)["project"]
    service.add_fault("render", status="error", message="Scene #1: no")
    run("render", movie)
    (failed,) = [r["project"] for r in service.renders() if r["project"] != project]
    code, out, _ = run("status", project)
    assert code == 0
    assert re.search(rf"{project} +done", out)
    code, out, _ = run("status", project, failed, "--json")
    assert code == 1
    assert [movie["status"] for movie in json.loads(out)] == ["done", "error"]
    _, out, _ = run("list")
    assert project in out
    assert failed in out
    _, out, _ = run("list", "--status", "error", "--ours", "--since", "1h", "--json")
    (listed,) = json.loads(out)
    assert listed["project"] == failed
    assert listed["submission_key"].startswith("shell.render-")


def test_an_empty_list_prints_nothing_and_succeeds(run):
    assert run("list")[:2] == (0, "")
    assert json.loads(run("list", "--json")[1]) == []


@pytest.mark.parametrize("time_", ["yesterday", "12x", "2026-13-01"])
def test_an_invalid_time_is_refused(run, time_):
    code, _, err = run("list", "--since", time_)
    assert code == 2
    assert "write 12h, 8d, or 2026-05-01T12:00" in err


def test_download_stores_complete_files_and_does_not_replace_them(run, service, movie, tmp_path):
    projects = [json.loads(run("render", movie, "--json")[1])["project"] for _ in range(2)]
    (tmp_path / "videos").mkdir()
    code, out, _ = run("download", *projects, "-o", tmp_path / "videos")
    assert code == 0
    paths = [Path(line) for line in out.split()]
    assert [path.name for path in paths] == [f"{project}.mp4" for project in projects]
    before = paths[0].stat().st_mtime_ns
    assert run("download", projects[0], "-o", tmp_path / "videos")[0] == 0
    assert paths[0].stat().st_mtime_ns == before
    assert sorted(tmp_path.glob("videos/*.part")) == []


@pytest.mark.parametrize("fault", ["truncated", "wrong-length", "missing"])
def test_an_incomplete_download_leaves_no_file(run, service, movie, tmp_path, fault):
    project = json.loads(run("render", movie, "--json")[1])["project"]
    service.add_fault("file", status=fault, times=None)
    code, _, err = run("download", project, "-o", tmp_path / "video.mp4")
    assert code == 2
    assert "error: " in err
    assert list(tmp_path.glob("video*")) == []


def test_download_refuses_unfinished_renders_and_one_file_for_two_renders(run, service, movie, tmp_path):
    service.settings.update({"render_seconds": 60})
    project = run("render", movie, "--no-wait")[1].strip()
    code, _, err = run("download", project)
    assert (code, f"Render {project} is not done" in err) == (2, True)
    code, _, err = run("download", project, project, "-o", tmp_path / "one.mp4")
    assert (code, "write {project} into --output" in err) == (2, True)


def test_every_render_is_reported_and_the_exit_code_is_the_worst(run, service, movie, tmp_path):
    project = json.loads(run("render", movie, "--json")[1])["project"]
    unknown = "x" * 16
    code, out, err = run("status", unknown, project)
    assert code == 2
    assert f"{unknown}: error: " in err
    assert re.search(rf"{project} +done", out)
    code, out, err = run("download", unknown, project, "-o", tmp_path)
    assert code == 2
    assert f"{unknown}: error: " in err
    assert (tmp_path / f"{project}.mp4").is_file()


def test_balance_shows_the_credits_that_are_left(run, service, movie):
    run("render", movie)
    assert run("balance")[:2] == (0, "credits: 598\n")
    assert json.loads(run("balance", "--json")[1]) == {"credits": 598}


@pytest.mark.parametrize("shape", ["absent", "legacy"])
def test_balance_of_an_account_without_credits(run, monkeypatch, shape):
    from airflow_json2video.api.responses import RemainingQuota

    quota = None if shape == "absent" else RemainingQuota(movies=3, drafts=5)
    monkeypatch.setattr(Json2VideoHook, "get_remaining_quota", lambda self: quota)
    expected = "The service reports no balance for this account.\n" if quota is None else "movies: 3\ndrafts: 5\n"
    assert run("balance")[:2] == (0, expected)
