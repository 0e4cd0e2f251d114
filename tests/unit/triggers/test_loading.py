"""The event loop of a triggerer is shared by all triggers, and is blocked while a module is loaded in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from importlib.util import find_spec

import pytest

from airflow_json2video.hooks.json2video import Json2VideoHook
from tests.unit.conftest import connection_json

MOVIE = {"width": 128, "height": 72, "scenes": [{"duration": 1}]}

PROGRAM = """
import asyncio, importlib, json, sys, threading

loop_thread, loaded = threading.get_ident(), []

class Witness:
    # Called for every module that is not loaded yet, in the thread that imports it.
    def find_spec(self, name, path=None, target=None):
        if threading.get_ident() == loop_thread:
            loaded.append(name)
        return None

path, arguments = json.loads(sys.argv[1])
module, _, name = path.rpartition(".")
trigger = getattr(importlib.import_module(module), name)(**arguments)

async def main():
    sys.meta_path.insert(0, Witness())
    events = trigger.run()
    event = await anext(events)
    print(json.dumps({"event": event.payload, "loaded": loaded}, default=str))
    await events.aclose()

asyncio.run(main())
"""


@pytest.fixture
def project(connection, service):
    service.settings.update({"render_seconds": 0.5})
    return Json2VideoHook(connection).submit_movie(MOVIE).project


def trigger(kind, project):
    now = time.time()
    if kind == "render":
        arguments = {"project": project, "poll_interval": 0.2}
        return ["airflow_json2video.triggers.render.Json2VideoRenderTrigger", arguments]
    arguments = {"json2video_conn_id": "json2video_default"}
    if kind == "batch":
        more = {"renders": [[project, now]], "render_timeout": 60.0, "poll_interval": 0.2, "resume_at": now + 30.0}
        return ["airflow_json2video.triggers.batch.Json2VideoBatchTrigger", {**arguments, **more}]
    name = {"availability": "Json2VideoAvailabilityTrigger", "credits": "Json2VideoCreditsTrigger"}[kind]
    return [f"airflow_json2video.triggers.{kind}.{name}", {**arguments, "deadline": now + 0.5}]


@pytest.mark.parametrize("kind", ["render", "batch", "availability", "credits"])
def test_no_trigger_loads_a_library_in_the_event_loop(project, kind):
    check(run(trigger(kind, project)))


@pytest.mark.skipif(find_spec("airflow.sdk") is None, reason="assets are watched from Airflow 3 on")
def test_the_event_trigger_loads_no_library_in_the_event_loop(connection, service, monkeypatch):
    # With a namespace it needs no id of the deployment from a database.
    monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection_json(host=service.url, namespace="tests"))
    path = "airflow_json2video.triggers.render_event.Json2VideoRenderEventTrigger"

    def submit_after_the_first_polls():
        while sum("date_start" in request.query for request in service.requests) < 2:
            time.sleep(0.05)
        Json2VideoHook(connection).submit_movie(MOVIE)

    thread = threading.Thread(target=submit_after_the_first_polls, daemon=True)
    thread.start()
    check(run([path, {"json2video_conn_id": connection, "poll_interval": 0.2}]))


def run(arguments):
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(arguments)],
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def check(output):
    report = json.loads(output.splitlines()[-1])
    # The other modules that are loaded here are Airflow's own, which a triggerer has loaded before.
    ours = ("airflow_json2video", "aiohttp", "requests", "pydantic", "urllib3", "yarl", "certifi")
    assert [name for name in report["loaded"] if name.partition(".")[0] in ours] == []
