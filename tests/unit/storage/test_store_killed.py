"""A process that is killed while it stores a video leaves nothing under the final name; memory use is constant."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from airflow_json2video.storage.temporary_files import _cleaned_at, temporary_file
from tests.unit.videohost import video_host

ROOT = Path(__file__).resolve().parents[3]
CHILD = """
import json, logging, resource, sys, time
from types import SimpleNamespace
sys.path.insert(0, {root!r})
from airflow_json2video.api.client import Json2VideoClient
from airflow_json2video.storage.store import store_video
from tests.unit.stores import FolderStore, PlainFolder, attach

task = json.loads(sys.argv[1])
hook = SimpleNamespace(client=Json2VideoClient("a-key-of-the-tests"))
if "store" in task:
    store = attach(task["scheme"], (FolderStore if task["scheme"] == "s3" else PlainFolder)(root=task["store"]))
    def on_block(sent):
        if task["stall_at"] is not None and sent >= task["stall_at"]:
            print("stalled", flush=True)
            time.sleep(60)
    store.on_block = on_block
import requests
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
stored = store_video(task["movie"], output_path=task["output_path"], hook=hook, log=logging.getLogger())
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({{"bytes": stored.bytes, "downloaded": stored.downloaded, "grown_kib": after - before}}), flush=True)
"""


def start(task, *, tmp_path):
    home = {name: value for name, value in os.environ.items() if name != "TMPDIR"}
    (tmp_path / "spool").mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", CHILD.format(root=str(ROOT)), json.dumps(task)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**home, "TMPDIR": str(tmp_path / "spool")},
    )


def finish(task, *, tmp_path):
    out, _ = start(task, tmp_path=tmp_path).communicate(timeout=120)
    return json.loads(out.splitlines()[-1])


def kill(child):
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=30)


def videos(folder):
    return sorted(found.name for found in folder.rglob("*.mp4") if not found.name.startswith("."))


def leftovers(folder):
    return [found for found in folder.rglob("*") if "json2video-part" in found.name]


def age(paths):
    for path in paths:
        os.utime(path, (time.time() - 600, time.time() - 600))


def test_after_a_kill_during_the_download_a_retry_stores_the_video_and_cleans_up(tmp_path):
    kept = tmp_path / "kept"
    with video_host(size=20_000_000) as host:
        host.pause = 0.1
        task = {"movie": host.movie(), "output_path": f"{kept}/{{project}}.mp4"}
        child = start(task, tmp_path=tmp_path)
        until = time.monotonic() + 60
        while not (parts := leftovers(kept) if kept.exists() else []) or not parts[0].stat().st_size:
            assert time.monotonic() < until
            time.sleep(0.02)
        kill(child)
        assert videos(kept) == []
        (left,) = leftovers(kept)
        assert 0 < left.stat().st_size < host.size
        age([left])
        host.pause = 0.0
        assert finish(task, tmp_path=tmp_path)["bytes"] == host.size
    assert [found.name for found in kept.iterdir()] == ["Qk3vT9zLm2XcB7wA.mp4"]


@pytest.mark.parametrize(("scheme", "folder"), [("s3", "s3://bucket/"), ("sftp", "sftp://host/films/")])
def test_after_a_kill_during_the_upload_a_retry_stores_the_video(tmp_path, scheme, folder):
    store = tmp_path / "store"
    (store / "bucket").mkdir(parents=True)
    with video_host(size=1_000_000) as host:
        task = {
            "movie": host.movie(),
            "output_path": f"{folder}{{project}}.mp4",
            "store": str(store),
            "scheme": scheme,
            "stall_at": 500_000,
        }
        child = start(task, tmp_path=tmp_path)
        assert child.stdout.readline() == "stalled\n"
        kill(child)
        assert videos(store) == []
        left = leftovers(tmp_path / "spool")
        assert len(left) == 1
        age(left)
        assert finish({**task, "stall_at": None}, tmp_path=tmp_path)["bytes"] == host.size
    assert videos(store) == ["Qk3vT9zLm2XcB7wA.mp4"]
    assert leftovers(tmp_path / "spool") == []


def test_only_temporary_files_without_a_lock_are_removed(tmp_path):
    with temporary_file(tmp_path, of="film.mp4") as held:
        abandoned = tmp_path / f".other.mp4.{'0' * 12}.json2video-part"
        stranger = tmp_path / ".other.mp4.part"
        for path in (abandoned, stranger):
            path.write_bytes(b"x")
        age([held, abandoned, stranger])
        _cleaned_at.clear()
        with temporary_file(tmp_path, of="another.mp4"):
            assert held.exists()
            assert stranger.exists()
            assert not abandoned.exists()


@pytest.mark.parametrize("store", [None, "s3"])
def test_memory_use_does_not_depend_on_the_size_of_the_video(tmp_path, store):
    size = 120_000_000
    (tmp_path / "store" / "bucket").mkdir(parents=True)
    with video_host(size=size) as host:
        host.breaks = [50_000_000]
        task = {"movie": host.movie(), "output_path": f"{tmp_path}/kept/{{project}}.mp4"}
        if store:
            task |= {"output_path": "s3://bucket/", "store": str(tmp_path / "store"), "scheme": "s3", "stall_at": None}
        told = finish(task, tmp_path=tmp_path)
    assert told["bytes"] == size
    assert told["grown_kib"] < 16 * 1024
    for folder in ("store", "kept"):
        for found in (tmp_path / folder).rglob("*.mp4"):
            found.unlink()
