from __future__ import annotations

import dataclasses
import json

import pytest

from airflow_json2video.core.identity import (
    STAMP_KEY,
    Stamp,
    TaskIdentity,
    add_stamp,
    deployment_from_id,
    deployment_from_namespace,
    fingerprint,
    format_deployment,
    read_stamp,
)

TASK = TaskIdentity(
    deployment="id:here", dag_id="news", run_id="manual__1", task_id="render", map_index=-1, generation=2
)


def test_the_submission_key_is_readable_and_the_same_for_every_attempt():
    assert TASK.submission_key.startswith("news.render-")
    assert TASK.submission_key == dataclasses.replace(TASK).submission_key


def test_another_dag_run_task_map_index_or_generation_has_another_key():
    others = [
        dataclasses.replace(TASK, dag_id="old"),
        dataclasses.replace(TASK, run_id="manual__2"),
        dataclasses.replace(TASK, task_id="render2"),
        dataclasses.replace(TASK, map_index=0),
        dataclasses.replace(TASK, generation=5),
    ]
    assert len({TASK.submission_key, *(o.submission_key for o in others)}) == 6


def test_the_same_task_of_two_deployments_shares_only_its_name_key():
    other = dataclasses.replace(TASK, deployment="id:there")
    assert other.submission_key != TASK.submission_key
    assert other.task_key != TASK.task_key
    assert other.name_key == TASK.name_key
    mine, theirs = Stamp.of(TASK, "f", attempt=1), Stamp.of(other, "f", attempt=1)
    assert theirs.is_same_task_elsewhere(mine)
    assert not mine.is_same_task_elsewhere(mine)
    assert not Stamp.of(dataclasses.replace(other, run_id="r"), "f", attempt=1).is_same_task_elsewhere(mine)


def test_a_namespace_never_equals_an_id_however_it_is_written():
    assert deployment_from_namespace("abc") != deployment_from_id("abc")
    named, numbered = deployment_from_namespace("id:abc"), deployment_from_id("namespace:abc")
    assert len({named, numbered, deployment_from_id("abc"), deployment_from_namespace("abc")}) == 4
    assert format_deployment(deployment_from_namespace("staging")) == "namespace 'staging'"
    assert format_deployment(deployment_from_id("abc")) == "id abc"


def test_the_stamp_has_a_version_and_a_later_one_is_read():
    stamped = add_stamp({}, Stamp.of(TASK, "f", attempt=1))["client-data"][STAMP_KEY]
    assert stamped["version"] == 1
    assert read_stamp({STAMP_KEY: {**stamped, "version": 2, "more": True}}) == Stamp.of(TASK, "f", attempt=1)


def test_a_stamp_without_a_deployment_is_ignored():
    stamped = dict(add_stamp({}, Stamp.of(TASK, "f", attempt=1))["client-data"][STAMP_KEY])
    del stamped["deployment"]
    assert read_stamp({STAMP_KEY: stamped}) is None


def test_names_with_the_same_concatenation_have_different_keys():
    one = dataclasses.replace(TASK, dag_id="a", run_id="b.c")
    two = dataclasses.replace(TASK, dag_id="a.b", run_id="c")
    assert one.task_key != two.task_key


def test_a_clear_changes_the_submission_key_but_not_the_task_key():
    cleared = dataclasses.replace(TASK, generation=TASK.generation + 1)
    assert cleared.task_key == TASK.task_key
    assert cleared.submission_key != TASK.submission_key


def test_the_fingerprint_ignores_the_order_of_keys_but_not_values():
    document = {"scenes": [{"duration": 2}], "resolution": "hd"}
    turned = {"resolution": "hd", "scenes": [{"duration": 2}]}
    assert fingerprint(document) == fingerprint(turned)
    assert fingerprint(document) != fingerprint({**document, "resolution": "sd"})


def test_the_fingerprint_of_a_stamped_document_is_that_of_the_plain_one():
    document = {"scenes": [], "client-data": {"order": 7}}
    mark = Stamp.of(TASK, fingerprint(document), attempt=1)
    assert fingerprint(add_stamp(document, mark)) == mark.fingerprint
    bare = {"scenes": []}
    assert fingerprint(add_stamp(bare, mark)) == fingerprint(bare)


def test_the_stamp_is_added_to_client_data_and_changes_nothing_else():
    document = {"scenes": [], "client-data": {"order": 7}}
    stamped = add_stamp(document, Stamp.of(TASK, "f", attempt=1))
    assert stamped["client-data"]["order"] == 7
    assert {k: v for k, v in stamped.items() if k != "client-data"} == {"scenes": []}
    assert document == {"scenes": [], "client-data": {"order": 7}}


def test_a_stamp_is_read_from_client_data_or_else_from_the_submitted_document():
    mark = Stamp.of(TASK, "f", attempt=1)
    stamped = add_stamp({"scenes": []}, mark)
    assert read_stamp(stamped["client-data"]) == mark
    assert read_stamp({}, json.dumps(stamped)) == mark
    assert read_stamp(None, json.dumps(stamped)) == mark


def test_other_documents_and_damaged_stamps_are_ignored():
    for client_data in (None, {}, {"order": 7}, {STAMP_KEY: "x"}, {STAMP_KEY: {"submission_key": "k"}}, "text"):
        assert read_stamp(client_data) is None
    assert read_stamp({}, f'{{"{STAMP_KEY}": broken') is None
    assert read_stamp({}, f'"{STAMP_KEY}"') is None


def test_each_item_of_a_batch_has_its_own_keys():
    keys = {TaskIdentity("id:here", "d", "r", "t", -1, 2, item=item).task_key for item in (None, "", "a", "b")}
    assert len(keys) == 4


@pytest.mark.parametrize("odd", [float("inf"), float("nan"), "9" * 5000, [1], {}, None, "one", "\ud800"])
@pytest.mark.parametrize("name", ["generation", "attempt"])
def test_an_invalid_stamp_is_ignored(name, odd):
    stamped = add_stamp({}, Stamp.of(TASK, "f", attempt=1))
    stamped["client-data"][STAMP_KEY][name] = odd
    assert read_stamp(stamped["client-data"]) is None
    assert read_stamp({}, json.dumps(stamped)) is None


def test_a_document_that_is_nested_too_deeply_is_ignored():
    assert read_stamp({}, f'{{"client-data": {{"{STAMP_KEY}": {"[" * 100_000}{"]" * 100_000}}}}}') is None


def test_the_deployment_of_a_foreign_stamp_is_escaped_in_a_log_line():
    words = format_deployment(deployment_from_id("abc\n[2026-11-26] INFO - Submitted render x"))
    assert "\n" not in words
