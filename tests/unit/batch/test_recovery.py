"""How a batch finds its renders in the account's list, with a list and a clock that the tests control."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from airflow_json2video.api.responses import MovieStatus
from airflow_json2video.batch.recovery import BatchRecovery
from airflow_json2video.core.batch import BatchLedger, BatchRules, ItemState
from airflow_json2video.core.batch_items import BatchItems
from airflow_json2video.core.identity import TaskIdentity, add_stamp
from airflow_json2video.exceptions import AuthenticationFailed, RenderNotStarted, ResponseLost, SubmissionUnconfirmed
from airflow_json2video.task_log import ItemLog

START = 1_800_000_000.0
ROWS = [{"id": name, "scenes": [{"duration": 1}]} for name in "ab"]
TASK = TaskIdentity(deployment="here", dag_id="news", run_id="run", task_id="batch", map_index=-1, generation=0)


class Account:
    """The account's list, and the service's clock."""

    def __init__(self):
        self.time = START
        self.is_known = True
        self.clock_error = 0.0
        self.listed = []
        self.error = None
        self.config = SimpleNamespace(host="http://127.0.0.1")

    def now(self):
        return self.time if self.is_known else self.time + self.clock_error

    def monotonic(self):
        return self.time

    def movies(self, **_):
        if self.error is not None:
            raise self.error
        self.is_known = True
        return [MovieStatus.model_validate(movie) for movie in self.listed]

    def shows(self, recovery, index, status, *, attempt=None):
        """Add a render of an item to the list, with the stamp of that attempt."""
        item_stamp = recovery.stamp_for(index)
        if attempt is not None:
            item_stamp = type(item_stamp)(**{**item_stamp.__dict__, "attempt": attempt})
        document = add_stamp(recovery.items.document(index), item_stamp)
        project = f"{len(self.listed):016}"
        url = f"https://x/{project}.mp4" if status == "done" else None
        facts = {"success": True, "project": project, "status": status, "url": url, "duration": 1.0}
        self.listed.append({**facts, "client-data": document["client-data"]})
        return project


@pytest.fixture
def account():
    return Account()


@pytest.fixture
def find(account):
    def find(batch, **more):
        arguments = {"attempt": 2, "previous_attempt": 1, "confirmation_time": 300.0, "render_timeout": 3600.0, **more}
        return BatchRecovery(
            client=account,
            items=BatchItems.of(ROWS, base=None, key="id"),
            batch=batch,
            identity=TASK,
            service_clock=account,
            clock=account.monotonic,
            log=ItemLog(logging.getLogger(__name__)),
            **arguments,
        )

    return find


@pytest.fixture
def batch():
    return BatchLedger(2, digest="d", rules=BatchRules())


def states(batch):
    return [record.state for record in batch.records]


def recovered(batch):
    """Return the ledger as the next step of the attempt reads it."""
    return BatchLedger.from_text(batch.to_text(), rules=batch.rules)


@pytest.mark.parametrize(
    "previous_attempt", [1, 2], ids=["of the previous attempt", "of an attempt whose ledger was lost"]
)
def test_a_failed_render_does_not_resolve_an_unknown_item(account, find, batch, previous_attempt):
    """The item may have been submitted again after it failed, and the list may not show that yet."""
    batch.mark_all_unknown()
    recovery = find(batch, previous_attempt=previous_attempt)
    account.shows(recovery, 0, "error", attempt=previous_attempt)
    recovery.recover_previous_attempts()
    assert states(batch) == [ItemState.UNKNOWN] * 2
    account.time += 299.0
    account.shows(recovery, 0, "running", attempt=previous_attempt)  # the second one, late
    batch = recovered(batch)
    recovery = find(batch, previous_attempt=previous_attempt)
    assert recovery.recover_previous_attempts()
    assert states(batch) == [ItemState.IN_FLIGHT, ItemState.UNKNOWN]
    account.time += 1.0
    recovery.recover_previous_attempts()
    assert states(batch) == [ItemState.IN_FLIGHT, ItemState.PENDING]


def test_an_item_without_a_file_in_the_list_is_reused_if_its_render_has_one(account, find, batch):
    batch.mark_all_unknown()
    recovery = find(batch)
    project = account.shows(recovery, 0, "done")
    whole = MovieStatus.model_validate(account.listed[0])
    account.listed[0] |= {"url": None, "ended_at": "2027-01-15T05:00:00Z"}  # three hours before
    account.execute = lambda call: SimpleNamespace(movie=whole if call.subject == project else None)
    recovery.recover_previous_attempts()
    record = batch.records[0]
    assert (record.state, record.project, record.facts["url"]) == (ItemState.DONE, project, whole.url)


@pytest.mark.parametrize(("ended_ago", "left"), [(None, 300.0), (299.0, 1.0), (300.0, 0.0)])
def test_absence_is_confirmed_from_the_end_of_the_previous_attempt_if_airflow_knows_it(
    account, find, batch, ended_ago, left
):
    batch.mark_all_unknown()
    recovery = find(batch, previous_attempt_ended_at=None if ended_ago is None else START - ended_ago)
    recovery.recover_previous_attempts()
    assert (recovery.next_lookup_at() is None) == (left == 0.0)
    account.time += left
    recovery.recover_previous_attempts()
    assert states(batch) == [ItemState.PENDING] * 2


def test_the_list_is_read_again_only_when_it_is_due(account, find, batch):
    batch.mark_all_unknown()
    recovery = find(batch)
    assert recovery.recover_previous_attempts()
    assert not recovery.recover_previous_attempts()
    assert recovery.next_lookup_at() == account.time + 5.0
    account.is_known = False  # another process, whose clock may be wrong by hours
    assert find(recovered(batch)).recover_previous_attempts()


@pytest.mark.parametrize("error", [7200.0, -7200.0])
def test_a_first_response_that_corrects_the_clock_changes_no_recorded_moment(account, find, batch, error):
    account.is_known, account.clock_error = False, error
    batch.mark_all_unknown()
    find(batch).recover_previous_attempts()
    assert batch.recovery.last_sent_at == batch.recovery.read_at == START


def test_a_lost_response_is_resolved_by_the_list_or_by_confirmed_absence(account, find, batch):
    for index in (0, 1):
        batch.mark_unconfirmed(index, ResponseLost("x"), sent_at=account.time, check_at=account.time + 5)
    recovery = find(batch)
    recovery.resolve_unconfirmed()
    assert account.time == START
    assert states(batch) == [ItemState.UNCONFIRMED] * 2
    account.time += 5.0
    account.shows(recovery, 0, "running")
    recovery.resolve_unconfirmed()
    assert states(batch) == [ItemState.IN_FLIGHT, ItemState.UNCONFIRMED]
    account.time = START + 299.0
    recovery.resolve_unconfirmed()
    assert states(batch)[1] is ItemState.UNCONFIRMED
    account.time = START + 300.0
    recovery.resolve_unconfirmed()
    assert states(batch)[1] is ItemState.PENDING


def test_an_unknown_time_of_sending_counts_from_the_first_read_of_the_list(account, find, batch):
    batch.mark_unconfirmed(0, ResponseLost("x"), sent_at=0.0, check_at=START)
    account.time += 40.0
    recovery = find(batch)
    recovery.resolve_unconfirmed()
    account.time = START + 339.0
    recovery.resolve_unconfirmed()
    assert states(batch)[0] is ItemState.UNCONFIRMED
    account.time += 1.0
    recovery.resolve_unconfirmed()
    assert states(batch)[0] is ItemState.PENDING


def test_with_on_lost_response_fail_an_unconfirmed_item_becomes_unresolved(account, find, batch):
    batch.mark_unconfirmed(0, ResponseLost("x"), sent_at=START, check_at=START)
    account.time += 300.0
    find(batch, on_lost_response="fail").resolve_unconfirmed()
    assert states(batch)[0] is ItemState.UNRESOLVED
    assert not batch.records[0].error["retryable"]


def test_a_refused_item_is_looked_up_once_when_it_is_due(account, find, batch):
    batch.mark_refused(0, RenderNotStarted("Error creating movie"), check_at=START + 5)
    batch.mark_refused(1, RenderNotStarted("Error creating movie"), check_at=START + 50)
    recovery = find(batch)
    assert recovery.next_resolve_at() == account.time + 5.0
    account.time += 5.0
    account.shows(recovery, 0, "running")  # it was started after all
    recovery.resolve_unconfirmed()
    assert states(batch) == [ItemState.IN_FLIGHT, ItemState.REFUSED]
    account.time += 45.0
    recovery.resolve_unconfirmed()
    assert states(batch) == [ItemState.IN_FLIGHT, ItemState.PENDING]


def test_an_item_refused_for_the_render_timeout_fails_and_a_retry_may_submit_it(account, find, batch):
    batch.mark_refused(0, RenderNotStarted("Error creating movie"), check_at=START + 5)
    account.time += 5.0
    find(batch).resolve_unconfirmed()
    assert states(batch)[0] is ItemState.PENDING
    batch.mark_refused(0, RenderNotStarted("Error creating movie"), check_at=START + 3605)
    account.time = START + 3605.0
    find(batch).resolve_unconfirmed()
    assert states(batch)[0] is ItemState.FAILED
    assert batch.records[0].error["retryable"]
    assert batch.records[0].error["billing"] == "not_charged"


@pytest.mark.parametrize("error", [AuthenticationFailed("Invalid API Key"), ResponseLost("x")])
def test_a_list_that_cannot_be_read_changes_no_item(account, find, batch, error):
    account.error = error
    batch.mark_unconfirmed(0, ResponseLost("x"), sent_at=START, check_at=START)
    batch.records[1].state = ItemState.UNKNOWN
    account.time += 1000.0
    recovery = find(batch)
    recovery.resolve_unconfirmed()
    assert recovery.failure is error
    with pytest.raises(SubmissionUnconfirmed) as caught:
        recovery.recover_previous_attempts()
    assert caught.value.retryable == error.retryable
    assert states(batch) == [ItemState.UNCONFIRMED, ItemState.UNKNOWN]
