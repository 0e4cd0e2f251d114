"""What every test stands on: an Airflow home of its own, and nothing of the user's environment."""

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

# Before anything imports airflow: it reads its environment, and makes its home, when it is imported.
assert "airflow" not in sys.modules, "airflow was imported before its home was set"
for name in list(os.environ):
    if re.match(r"_?AIRFLOW_|JSON2VIDEO_API_KEY$|(https?|all)_proxy$", name, re.IGNORECASE):
        del os.environ[name]

# A shell's background job ignores it, and so would all that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_home = Path(tempfile.mkdtemp(prefix="json2video-tests-"))
_owner = os.getpid()


def _remove_home() -> None:
    if os.getpid() == _owner:  # a fork of the tests must not remove it under them
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
    if not hasattr(config, "workerinput"):  # of pytest-xdist, which reports to the one that writes
        config.pluginmanager.register(SkippedFiles())


@pytest.fixture(scope="session")
def airflow_db() -> Path:
    """Make Airflow's database in the tests' home; for tests of what reads or writes it."""
    from airflow.utils.db import initdb

    initdb()
    return _home / "airflow.db"
