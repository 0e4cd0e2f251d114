"""What is not written in the DAG file is data: it reaches JSON2Video unchanged, and never Jinja.

Every way in is walked in a real ``dag.test()``, with a text that would write the API key into Airflow's database.
"""

from __future__ import annotations

import pytest

from tests.unit.test_testing import pytest_in

# dag.test() of a hundred tasks; test_document.py holds the rule for each argument.
pytestmark = pytest.mark.long

KEY = "the-api-key-that-must-not-leak"
VARIABLE = "the-variable-that-must-not-leak"

SETUP = f"""
import os
import sys
import tempfile
from pathlib import Path

os.environ["AIRFLOW_HOME"] = home = tempfile.mkdtemp(prefix="airflow-canary-", dir=os.environ["CANARY_FOLDER"])
os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{{home}}/airflow.db"
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(Path(__file__).parent / "dags")
sys.path.insert(0, str(Path(__file__).parent / "dags"))
os.environ["AIRFLOW_VAR_SECRET"] = "{VARIABLE}"

import pytest


@pytest.fixture(scope="session", autouse=True)
def airflow_db():
    from airflow.utils.db import initdb

    initdb()
"""

DAGS = """
import json
from datetime import timedelta
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG, task, task_group

from airflow_json2video import operators
from airflow_json2video.operators.batch import Json2VideoBatchRenderOperator
from airflow_json2video.operators.drive import Json2VideoListFilesOperator
from airflow_json2video.transfers.object_storage_to_json2video import ObjectStorageToJson2VideoOperator
from airflow_json2video.operators.render import Json2VideoRenderOperator
from airflow_json2video.operators.template import Json2VideoSyncTemplateOperator
from airflow_json2video.sensors.render import Json2VideoRenderSensor
from airflow_json2video.transfers.json2video_to_object_storage import Json2VideoToObjectStorageOperator

FOLDER = Path(__file__).parent
CANARY = (
    "{{ ti.xcom_push(key='leaked', value=conn.json2video_default.password) }}{{ var.value.secret }}"
    " Only 5 left, {{ name }}! {% raw %}"
)
MOVIE = {
    "resolution": "sd",
    "comment": "{{ run_id }}",
    "variables": {"headline": "x"},
    "scenes": [{"duration": 1, "elements": [{"type": "text", "text": "{{ headline }}", "duration": 1}]}],
}
ROW = {"headline": CANARY}
HOSTILE = {**MOVIE, "variables": ROW}
FAST = {"poll_interval": 0.2}
(FOLDER / "rows.csv").write_text('headline\\n"' + CANARY + '"\\n')
(FOLDER / "rows.jsonl").write_text(json.dumps(ROW) + "\\n")

with DAG("ways_in", schedule=None) as ways_in:

    def given(name, value):
        @task(task_id=f"give_{name}")
        def give():
            return value

        return give()

    render = Json2VideoRenderOperator
    render(task_id="variables", movie=MOVIE, variables=given("variables", ROW), **FAST)
    render(task_id="leaf", movie=MOVIE, variables={"headline": given("leaf", CANARY)}, **FAST)
    render(task_id="deep_leaf", movie={**MOVIE, "variables": {"headline": [given("deep_leaf", CANARY)]}},
           **FAST)
    render(task_id="movies_variables", movie={**MOVIE, "variables": given("movies_variables", ROW)}, **FAST)
    render(task_id="movie", movie=given("movie", HOSTILE), variables={"run": "{{ run_id }}"}, **FAST)
    render(task_id="text", movie=given("text", json.dumps(HOSTILE)), **FAST)
    template = given("stored_template", "abc123def456ghi789jk")
    render(task_id="stored_template", template=template, variables=given("v", ROW), **FAST)
    render.partial(task_id="map_variables", movie=MOVIE, **FAST).expand(variables=given("map_variables", [ROW]))
    render.partial(task_id="map_movie", **FAST).expand(movie=given("map_movie", [HOSTILE]))
    render.partial(task_id="map_literal", movie=MOVIE, **FAST).expand(variables=[{"headline": "literal {{ run_id }}"}])
    render.partial(task_id="map_kwargs", **FAST).expand_kwargs(
        given("map_kwargs", [{"movie": HOSTILE}, {"movie": MOVIE, "variables": ROW}]))
    render.partial(task_id="kwargs_beside_partial", movie=MOVIE, **FAST).expand_kwargs(
        given("kwargs_beside_partial", [{"variables": ROW}]))
    render.partial(task_id="kwargs_over_partial", movie=MOVIE, variables={"headline": "no"}, **FAST).expand_kwargs(
        given("kwargs_over_partial", [{"variables": ROW}]), strict=False)
    render.partial(task_id="literal_kwargs", **FAST).expand_kwargs(
        [{"movie": {**MOVIE, "comment": "literal {{ run_id }}"}}])

    @task_group
    def group(row):
        render(task_id="variables", movie=MOVIE, variables=row, **FAST)

    group.expand(row=given("group", [ROW]))

    def film(headline, day=""):
        return {**MOVIE, "variables": {"headline": headline, "day": day, "own": CANARY}}

    task.json2video(task_id="function", **FAST)(film)(given("function", CANARY), day="{{ run_id }}")
    task.json2video(task_id="map_function", **FAST)(film).expand(headline=given("map_function", [CANARY]))
    task.json2video(task_id="map_function_kwargs", **FAST)(film).partial(day="{{ run_id }}").expand_kwargs(
        given("map_function_kwargs", [ROW]))
    task.json2video(task_id="functions_variables", variables=given("functions_variables", ROW), **FAST)(film)("x")

    batch = Json2VideoBatchRenderOperator
    place = f"{FOLDER}/{{{{ run_id }}}}"
    stored = {"output_path": place + "/{item}.mp4", "report_path": place + "/report.json"}
    batch(task_id="rows", movie=MOVIE, items=given("rows", [ROW]), item_key="headline", **stored, **FAST)
    batch(task_id="literal_rows", movie=MOVIE, items=[ROW], **FAST)
    batch(task_id="whole_movies", items=given("whole_movies", [HOSTILE]), **FAST)
    batch(task_id="csv", movie=MOVIE, source="rows.csv", **FAST)
    batch(task_id="jsonl", movie=MOVIE, source=given("jsonl", str(FOLDER / "rows.jsonl")), **FAST)
    batch(task_id="shared", movie=MOVIE, items=[{"n": 1}], variables=given("shared", ROW), **FAST)
    batch.partial(task_id="map_rows", movie=MOVIE, **FAST).expand(items=given("map_rows", [[ROW]]))
    batch.partial(task_id="map_rows_kwargs", movie=MOVIE, **FAST).expand_kwargs(
        given("map_rows_kwargs", [{"items": [{"n": 1}], "variables": ROW}]))
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        pass
    else:
        pyarrow.parquet.write_table(pyarrow.table({"headline": [CANARY]}), FOLDER / "rows.parquet")
        batch(task_id="parquet", movie=MOVIE, source="rows.parquet", **FAST)

    name = given("template", CANARY[:90])
    Json2VideoSyncTemplateOperator(task_id="template", name=name, movie=given("tm", HOSTILE))

with DAG("refused", schedule=None) as refused:
    values = {
        "template": {"template": CANARY},
        "webhook": {"movie": MOVIE, "webhook": CANARY},
        "webhook_like_a_file": {"movie": MOVIE, "webhook": CANARY + ".json"},
        "output_path": {"movie": MOVIE, "output_path": "/nowhere/" + CANARY},
        "connection": {"movie": MOVIE, "json2video_conn_id": CANARY},
        "a_path": {"movie": "canary.json"},
    }
    (FOLDER / "canary.json").write_text(json.dumps({**MOVIE, "comment": CANARY}))
    for name, kwargs in values.items():
        render.partial(task_id="kwargs_" + name).expand_kwargs(given("kwargs_" + name, [kwargs]))
        field = next(reversed(kwargs))
        rest = {key: value for key, value in kwargs.items() if key != field}
        render(task_id="xcom_" + name, **rest, **{field: given("xcom_" + name, kwargs[field])})
        render.partial(task_id="map_" + name, **rest).expand(**{field: given("map_" + name, [kwargs[field]])})

    render.partial(task_id="map_nothing", retries=3).expand(movie=given("map_nothing", [None]))
    render(task_id="xcom_nothing", movie=given("xcom_nothing", None), retries=3)

    others = {
        Json2VideoRenderSensor: ({"project": CANARY}, {}),
        Json2VideoToObjectStorageOperator: ({"project": CANARY}, {"output_path": str(FOLDER) + "/{project}.mp4"}),
        ObjectStorageToJson2VideoOperator: ({"source": CANARY, "folder": CANARY, "name": CANARY}, {}),
        Json2VideoListFilesOperator: ({"folder": CANARY}, {}),
        Json2VideoSyncTemplateOperator: ({"name": CANARY, "movie": {"scenes": CANARY}, "tags": [CANARY]}, {}),
        Json2VideoBatchRenderOperator: ({"source": CANARY + ".csv", "report_path": CANARY}, {}),
    }
    for operator, (kwargs, rest) in others.items():
        name = operator.__name__
        operator.partial(task_id="kwargs_" + name, **rest).expand_kwargs(given("kwargs_" + name, [kwargs]))
        fields = {key: given(f"{name}_{key}", value) for key, value in kwargs.items()}
        operator(task_id="xcom_" + name, **rest, **fields)
"""

TESTS = f"""
import json
import os
import sqlite3
from pathlib import Path

import pytest
from canary_dags import CANARY, MOVIE, refused, ways_in

from airflow_json2video.local import LocalService
from airflow_json2video.local.planning import resolve


@pytest.fixture
def service(tmp_path, monkeypatch):
    # JSON2Video reads braces in values too, and could not read these; what it was sent is what counts here.
    monkeypatch.setattr(resolve._Resolver, "_filled", lambda self, value, *_: value)
    with LocalService(mode="instant", home=tmp_path / "service") as service:
        service.add_template({{**MOVIE, "variables": {{"headline": CANARY}}}}, id="abc123def456ghi789jk")
        connection = {{"conn_type": "json2video", "password": "{KEY}", "host": service.url}}
        monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", json.dumps(connection))
        yield service


def nothing_leaked():
    home = Path(os.environ["AIRFLOW_HOME"])
    with sqlite3.connect(home / "airflow.db") as database:
        tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        for table in tables:
            for row in database.execute(f'select * from "{{table}}"'):
                assert "{KEY}" not in str(row), (table, row)
                assert "{VARIABLE}" not in str(row), (table, row)
        assert database.execute("select count(*) from xcom").fetchone()[0] > 10
        assert database.execute("select task_id from xcom where key = 'leaked'").fetchall() == []
    for log in home.rglob("*.log"):
        assert "{KEY}" not in log.read_text(errors="replace"), log
        assert "{VARIABLE}" not in log.read_text(errors="replace"), log


def test_data_reaches_no_template(service, capsys):
    run = ways_in.test()
    states = {{(ti.task_id, ti.map_index): ti.state for ti in run.get_task_instances()}}
    assert {{key: state for key, state in states.items() if state != "success"}} == {{}}
    nothing_leaked()
    documents = service.submitted
    captured = capsys.readouterr()
    assert "{KEY}" not in captured.out + captured.err
    renders = sum(task not in ("template",) and not task.startswith("give_") for task, _ in states)
    assert len(documents) == renders
    for document in documents:
        text = json.dumps(document)
        assert "{KEY}" not in text and "{VARIABLE}" not in text
        assert json.dumps(CANARY)[1:-1] in text or "literal " + run.run_id in text, text
        assert document.get("comment") in (None, run.run_id, "{{{{ run_id }}}}", "literal " + run.run_id), text
    assert sum("literal " + run.run_id in json.dumps(document) for document in documents) == 2
    of_data = [document for document in documents if document.get("comment") == "{{{{ run_id }}}}"]
    assert len(of_data) == 10, "movie, text, map_movie, two of map_kwargs, four functions, whole_movies"
    of_functions = [document["variables"] for document in of_data if "own" in document["variables"]]
    assert sorted(variables["day"] for variables in of_functions) == ["", "", run.run_id, run.run_id]
    report = next((Path(__file__).parent / "dags").glob("*/report.json"))
    assert json.loads(report.read_text())["key"] == CANARY.strip()


def test_refused(service, capsys):
    run = refused.test()
    states = {{(ti.task_id, ti.map_index): ti.state for ti in run.get_task_instances()}}
    assert states["map_nothing", 0] == states["xcom_nothing", -1] == "failed", "no retry can help"
    done = [task for (task, _), state in states.items() if state == "success" and not task.startswith("give_")]
    # A list of a missing folder is empty.
    assert {{task.rpartition("_")[2] for task in done}} <= {{"Json2VideoListFilesOperator"}}
    nothing_leaked()
    captured = capsys.readouterr()
    assert "{KEY}" not in captured.out + captured.err and "{VARIABLE}" not in captured.out + captured.err
    assert service.renders() == []
"""


def passes(test, folder):
    (folder / "dags").mkdir()
    for name, text in (("conftest.py", SETUP), ("dags/canary_dags.py", DAGS), ("test_canary.py", TESTS)):
        (folder / name).write_text(text)
    ran, seconds = pytest_in(folder, "-k", test, cwd=folder, env={"CANARY_FOLDER": str(folder)}, timeout=1200)
    assert test in seconds, ran.stdout + ran.stderr
    assert ran.returncode == 0, ran.stdout


def test_data_never_reaches_jinja(tmp_path):
    passes("test_data_reaches_no_template", tmp_path)


def test_data_in_a_field_that_cannot_take_it_is_refused_and_not_executed(tmp_path):
    passes("test_refused", tmp_path)
