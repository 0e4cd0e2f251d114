"""What is built is what is used: the wheel, installed where the checkout cannot be seen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with nothing but the wheel's contents, to put on a path."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    target = folder / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    return target


def run(installed, program, cwd):
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    environment.pop("PYTHONSAFEPATH", None)
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_typed_licensed_and_carries_its_fonts(installed):
    package = installed / "airflow_json2video"
    assert (package / "py.typed").exists()
    assert {f.suffix for f in (package / "local/drawing/fonts").iterdir()} == {".ttf", ".txt"}
    [info] = installed.glob("airflow_json2video-*.dist-info")
    assert (info / "licenses/LICENSE").read_text().lstrip().startswith("Apache License")
    assert not (installed / "tests").exists()
    assert not (installed / "tools").exists()


def test_airflow_finds_the_provider_by_its_entry_point(installed, tmp_path):
    found = run(
        installed,
        "from importlib.metadata import entry_points\n"
        "point = {e.dist.name: e for e in entry_points(group='apache_airflow_provider')}['airflow-json2video']\n"
        "print(point.load()()['connection-types'][0]['connection-type'])",
        tmp_path,
    )
    assert found.strip() == "json2video"


def test_it_renders_from_where_it_is_installed(installed, tmp_path):
    printed = run(
        installed,
        "import airflow_json2video\n"
        "from airflow_json2video.local import LocalService\n"
        "from airflow_json2video.api import Json2VideoClient, calls\n"
        "with LocalService(mode='instant') as service:\n"
        "    client = Json2VideoClient('key', host=service.host)\n"
        "    project = client.execute(calls.submit_movie({'scenes': [{'duration': 2}]})).project\n"
        "    assert service.wait_idle()\n"
        "    print(airflow_json2video.__file__, client.execute(calls.get_movie(project)).movie.status)\n",
        tmp_path,
    )
    path, status = printed.split()
    assert Path(path).is_relative_to(installed)
    assert status == "done"
