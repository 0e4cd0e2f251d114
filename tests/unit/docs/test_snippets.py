"""The code in the docs and the README runs and prints the documented output."""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SNIPPETS = sorted((ROOT / "docs" / "snippets").glob("*.py"))
PAGES = sorted([*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")])


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda path: path.stem)
def test_a_snippet_runs_and_prints_the_documented_output(snippet, tmp_path, monkeypatch, capsys):
    (tmp_path / "dags_examples").symlink_to(ROOT / "dags_examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", "")  # put back afterwards, whatever the snippet sets
    runpy.run_path(str(snippet))
    printed = capsys.readouterr().out
    expected = snippet.with_suffix(".txt")
    if expected.exists():
        assert printed == expected.read_text()
    for line in snippet.read_text().splitlines():  # print(...)  # what it prints
        if shown := re.match(r"print\(.*\)  # (.+)", line):
            assert shown.group(1) in printed


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_marker_of_a_quoted_part_is_in_its_file(page):
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"```\{literalinclude\} (.*?)```", text, re.DOTALL):
        file = (page.parent / block.splitlines()[0].strip()).resolve()
        for marker in re.findall(r'"(\[(?:START|END) \w+\])"', block):
            assert file.read_text(encoding="utf-8").count(marker) == 1, (file.name, marker)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_python_in_a_page_is_valid(page):
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        ast.parse(block)


def test_the_readmes_dag_stores_its_video_and_has_at_most_six_lines():
    pytest.importorskip("airflow.sdk")  # it is written for Airflow 3
    (source,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    names = {}
    exec(compile(source.replace("):\n", ") as dag:\n"), "README.md", "exec"), names)
    assert names["dag"].get_task("render").output_path == "s3://videos/"
    assert len(source.strip().splitlines()) <= 6


def test_every_link_of_the_readme_points_to_a_file_and_a_heading():
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")):
        name, _, anchor = target.partition("#")
        assert (ROOT / name).is_file(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
            # the slugs of GitHub, which shows the page
            assert anchor in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}, target
