"""What importing the event trigger costs, and what it says where Airflow has nothing like it."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)


def test_an_airflow_without_asset_watchers_gets_one_clear_error():
    done = run(
        "import airflow.triggers.base\n"
        "vars(airflow.triggers.base).pop('BaseEventTrigger', None)\n"
        "import airflow_json2video.triggers.render_event\n"
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: Json2VideoRenderEventTrigger needs Airflow 3.0 or later")
    assert "During handling" not in done.stderr


@pytest.mark.skipif(find_spec("airflow.sdk") is None, reason="Airflow 2 has no such trigger")
def test_a_dag_file_with_an_event_trigger_loads_no_client():
    done = run(
        "import json\nimport sys\n"
        "import airflow.triggers.base\n"
        "before = set(sys.modules)\n"
        "from airflow_json2video.triggers.render_event import Json2VideoRenderEventTrigger\n"
        "Json2VideoRenderEventTrigger().serialize()\n"
        "ours = ('aiohttp', 'requests', 'pydantic', 'airflow_json2video')\n"
        "print(json.dumps([m for m in set(sys.modules) - before if m.partition('.')[0] in ours]))\n"
    )
    # Where the package is installed, Airflow has loaded it itself to read the provider's info.
    triggers = {f"airflow_json2video.triggers{module}" for module in ("", ".render_event", "._loading")}
    loaded = {"airflow_json2video", *triggers}
    assert set(json.loads(done.stdout.splitlines()[-1])) | {"airflow_json2video"} == loaded, done.stderr
