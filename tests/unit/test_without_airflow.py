"""``movie``, ``api`` and ``exceptions`` can be used without Airflow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("airflow_json2video.api", "airflow_json2video.movie")
MODULES = ("airflow_json2video.exceptions", "airflow_json2video.json_values")
IMPORT_EACH = """
import importlib, json, pkgutil, sys

class NoAirflow:
    def find_spec(self, name, path=None, target=None):
        if name == "airflow" or name.startswith("airflow."):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, NoAirflow())
packages, modules = json.loads(sys.argv[1])
names = list(modules)
for package in packages:
    found = pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")
    names += [package, *(module.name for module in found)]
for name in names:
    for loaded in [loaded for loaded in sys.modules if loaded.partition(".")[0] == "airflow_json2video"]:
        del sys.modules[loaded]
    module = importlib.import_module(name)
    for public in getattr(module, "__all__", ()):
        getattr(module, public)
    for other in packages:
        if not name.startswith(other):
            loaded = [each for each in sys.modules if each.startswith(f"{other}.")]
            assert not loaded, f"{name} imports {loaded}"
assert not [name for name in sys.modules if name.partition(".")[0] == "airflow"]
print(json.dumps(names))
"""


def test_every_module_can_be_imported_first_and_without_airflow():
    """Each module is imported first, so that no import cycle depends on the order, and all its names are loaded."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_EACH, json.dumps([PACKAGES, MODULES])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) > 30
