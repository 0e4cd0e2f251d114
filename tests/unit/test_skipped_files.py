from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFTEST = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.skipped_files import SkippedFiles

def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(SkippedFiles())
"""
FILES = {
    "test_all_left_out.py": "import pytest\n\ndef test_one():\n    pytest.skip('no browser')\n",
    "test_leaves_itself_out.py": "import pytest\n\npytest.importorskip('no_such_module', reason='no such module')\n",
    "test_half_left_out.py": "import pytest\n\ndef test_one():\n    pytest.skip('no')\n\ndef test_two():\n    pass\n",
}


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "with workers"])
def test_the_last_line_of_a_run_names_each_file_of_which_nothing_was_run(tmp_path, workers):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *workers, str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == (
        "SKIPPED FILES: test_all_left_out.py (no browser), test_leaves_itself_out.py (no such module)"
    )
