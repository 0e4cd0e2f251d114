"""For every test: a temporary Airflow home, and nothing of the user's environment."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from tests.skipped_files import SkippedFiles

# Before anything imports airflow, which reads its environment and creates its home when it is imported.
assert "airflow" not in sys.modules, "airflow was imported before its home was set"
for name in list(os.environ):
    if re.match(r"_?AIRFLOW_|JSON2VIDEO_API_KEY$|(https?|all)_proxy$", name, re.IGNORECASE):
        del os.environ[name]

# A background job of a shell ignores SIGINT, and so would every process that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_home = Path(tempfile.mkdtemp(prefix="json2video-tests-"))
_owner = os.getpid()


def _remove_home() -> None:
    if os.getpid() == _owner:  # a fork of the test process must not remove it
        shutil.rmtree(_home, ignore_errors=True)


atexit.register(_remove_home)
os.environ.update(
    {
        "AIRFLOW_HOME": str(_home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(_home / "dags"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_home / 'airflow.db'}",
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "NO_PROXY": "127.0.0.1,localhost",
    }
)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # a worker of pytest-xdist reports to the process that prints
        config.pluginmanager.register(SkippedFiles())


@pytest.fixture(scope="session")
def airflow_db() -> Path:
    """Create Airflow's database in the temporary home."""
    from airflow.utils.db import initdb

    initdb()
    return _home / "airflow.db"
