"""The command ``json2video``, its help, and ``airflow json2video``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_json2video.commands import COMMANDS, LOCAL_COMMANDS, main

ROOT = Path(__file__).parents[2]


def test_without_a_command_the_help_shows_examples(capsys):
    assert main([]) == 2
    shown = capsys.readouterr().out
    for command in COMMANDS:
        assert f"    {command.name}" in shown
    for example in ("json2video check movie.json", "json2video local serve", "json2video render movie.json"):
        assert example in shown


def test_local_without_a_command_shows_its_commands_and_a_missing_extra(capsys, monkeypatch):
    assert main(["local"]) == 2
    shown = capsys.readouterr()
    assert all(f"    {command.name}" in shown.out for command in LOCAL_COMMANDS)
    assert shown.err == ""
    monkeypatch.setattr("airflow_json2video.local.service.find_spec", lambda name: None if name == "av" else object())
    assert main(["local"]) == 2
    error = capsys.readouterr().err
    assert "error: The local service requires an extra: pip install 'airflow-json2video[local]' (av missing)." in error


def test_the_console_script_is_this_command():
    (target,) = re.findall(r'^json2video = "(.+):(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert target == (main.__module__, main.__name__)


def test_airflow_has_the_same_commands():
    cli_config = pytest.importorskip("airflow.cli.cli_config")
    from airflow_json2video.commands import get_cli_commands

    (group,) = get_cli_commands()
    *commands, local = group.subcommands
    assert isinstance(group, cli_config.GroupCommand)
    assert isinstance(local, cli_config.GroupCommand)
    assert [command.name for command in commands] == [command.name for command in COMMANDS]
    assert [command.name for command in local.subcommands] == [command.name for command in LOCAL_COMMANDS]


def test_airflow_json2video_runs_the_command_and_returns_its_exit_code(tmp_path):
    from importlib.metadata import version

    if tuple(map(int, version("apache-airflow").split(".")[:2])) < (3, 2):
        pytest.skip("Airflow loads commands of providers from 3.2 on")
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text('{"scenes": [{"duration": 2}]}')
    bad.write_text("{}")
    for command, file, code in ((["check"], good, 0), (["check"], bad, 1), (["local", "plan"], good, 0)):
        done = subprocess.run(
            [sys.executable, "-m", "airflow", "json2video", *command, str(file)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert f"{file}: " in done.stdout


def test_airflow_imports_little_for_its_own_commands():
    pytest.importorskip("airflow.cli.cli_config")
    code = """
import sys
import airflow.cli.cli_config
before = set(sys.modules)
from airflow_json2video.commands import get_cli_commands
get_cli_commands()
print("\\n".join(sorted(set(sys.modules) - before)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    loaded = done.stdout.split()
    assert "airflow_json2video.cli.render" in loaded
    heavy = ("pydantic", "requests", "aiohttp", "airflow_json2video.api", "airflow_json2video.hooks", "rich")
    assert [name for name in loaded if name.startswith(heavy)] == []
