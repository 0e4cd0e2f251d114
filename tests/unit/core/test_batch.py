from __future__ import annotations

import pytest

from airflow_json2video.core.batch import (
    BatchLedger,
    BatchRules,
    ItemRecord,
    ItemState,
    Recovery,
    decode,
    encode,
    first_failures,
)
from airflow_json2video.exceptions import (
    InvalidRequest,
    QuotaExhausted,
    RenderFailed,
    RenderNotStarted,
    SubmissionUnconfirmed,
)

PROJECT = "Qk3vT9zLm2XcB7w"


def make_ledger(count=5, **rules):
    return BatchLedger(count, digest="d", rules=BatchRules(**rules))


def movie(number, **more):
    return {
        "project": f"{PROJECT}{number}",
        "url": f"https://x/{number}.mp4",
        "duration": 2.5,
        "width": 640,
        "height": 360,
    } | more


def test_items_are_submitted_in_the_order_of_the_rows_up_to_max_in_flight():
    batch = make_ledger(max_in_flight=3)
    assert batch.next_items() == [0, 1, 2]
    batch.mark_submitted(0, f"{PROJECT}0", at=0)
    batch.mark_unconfirmed(1, SubmissionUnconfirmed("x"), sent_at=0, check_at=5)
    assert batch.next_items() == [2]
    batch.mark_done(0, movie(0))
    assert batch.next_items() == [2, 3]


def test_the_default_of_max_in_flight_is_a_hundred():
    assert make_ledger(300).next_items() == list(range(100))


def test_a_new_or_lost_ledger_knows_no_moment():
    """A moment that counts as known would confirm immediately that no earlier attempt has sent anything."""
    batch = make_ledger(1)
    assert batch.records == [ItemRecord(submitted_at=0.0, submissions=0, failing_since=0.0, check_at=0.0)]
    batch.recovery = Recovery(
        last_sent_at=3.5, first_read_at=4.0, read_at=12.5, next_read_at=20.0, reads_whole_run=False
    )
    batch.mark_all_unknown()
    assert batch.recovery == Recovery(
        last_sent_at=0.0, first_read_at=0.0, read_at=0.0, next_read_at=0.0, reads_whole_run=True
    )
    assert not any(
        [
            batch.recovery.last_sent_at,
            batch.records[0].submitted_at,
            batch.records[0].check_at,
            batch.records[0].submissions,
        ]
    )


def test_an_item_has_been_failing_since_its_first_failure_whatever_follows():
    batch = make_ledger(2)
    batch.mark_unconfirmed(0, SubmissionUnconfirmed("x"), sent_at=50, check_at=55)
    batch.mark_refused(1, RenderNotStarted("Error creating movie"), check_at=60)
    assert [record.failing_since for record in batch.records] == [50, 60]
    batch.mark_refused(0, RenderNotStarted("Error creating movie"), check_at=90)
    batch.reset_item(1)
    batch.mark_unconfirmed(1, SubmissionUnconfirmed("x"), sent_at=95, check_at=100)
    assert [record.failing_since for record in batch.records] == [50, 60]


@pytest.mark.parametrize(
    ("state", "has_paid"),
    [
        (ItemState.PENDING, False),
        (ItemState.REFUSED, False),
        (ItemState.FAILED, False),
        (ItemState.UNKNOWN, True),
        (ItemState.UNCONFIRMED, True),
        (ItemState.IN_FLIGHT, True),
        (ItemState.DONE, True),
    ],
)
def test_a_batch_has_paid_once_a_render_may_exist(state, has_paid):
    batch = make_ledger(2)
    batch.records[1].state = state
    assert batch.has_paid is has_paid


def test_a_failed_item_has_the_project_of_the_ledger_or_of_the_error():
    batch = make_ledger(2)
    batch.mark_submitted(0, f"{PROJECT}0", at=0)
    batch.mark_failed(0, RenderFailed("no"))
    batch.mark_failed(1, RenderFailed("no", project=f"{PROJECT}1"))
    assert [record.project for record in batch.records] == [f"{PROJECT}0", f"{PROJECT}1"]


def test_a_finished_item_has_the_project_of_the_ledger_or_of_the_movie():
    batch = make_ledger(2)
    batch.mark_submitted(0, f"{PROJECT}0", at=0)
    batch.mark_done(0, movie(0, project=None))
    batch.mark_done(1, movie(1))
    assert [record.project for record in batch.records] == [f"{PROJECT}0", f"{PROJECT}1"]


def test_a_failed_item_has_the_advice_of_its_error():
    batch = make_ledger(2)
    batch.mark_failed(0, RenderFailed("no", advice="Nothing was charged."))
    batch.mark_failed(1, RenderFailed("no", advice=""))
    assert [(record.error or {}).get("advice") for record in batch.records] == ["Nothing was charged.", None]


def test_the_remaining_quota_is_the_last_one_that_the_service_returned():
    batch = make_ledger(3)
    batch.mark_done(0, movie(0), remaining_quota={"time": 7})
    batch.mark_done(1, movie(1), remaining_quota={"time": 5})
    batch.mark_done(2, movie(2))
    assert batch.remaining_quota == {"time": 5}


def test_an_unknown_item_is_not_submitted():
    batch = make_ledger(2)
    batch.mark_all_unknown()
    assert batch.next_items() == []
    assert not batch.is_over
    batch.reset_item(0)
    assert batch.next_items() == [0]


def test_with_max_failures_0_nothing_is_submitted_after_the_first_failure_and_renders_in_flight_are_waited_for():
    batch = make_ledger(3, max_in_flight=2)
    batch.mark_submitted(0, f"{PROJECT}0", at=0)
    batch.mark_submitted(1, f"{PROJECT}1", at=0)
    batch.mark_failed(0, RenderFailed("no"))
    assert batch.next_items() == []
    assert not batch.is_over
    batch.mark_done(1, movie(1))
    assert batch.is_over
    assert not batch.is_success


def test_a_batch_without_a_failure_succeeds():
    batch = make_ledger(1)
    batch.mark_done(0, movie(0))
    assert batch.is_over
    assert batch.is_success


def test_nothing_is_submitted_while_more_items_are_in_flight_than_a_lowered_limit_allows():
    batch = make_ledger(5, max_in_flight=1)
    batch.mark_submitted(0, f"{PROJECT}0", at=0)
    assert (batch.free_slots, batch.next_items()) == (0, [])
    batch.mark_submitted(1, f"{PROJECT}1", at=0)
    batch.mark_unconfirmed(2, SubmissionUnconfirmed("x"), sent_at=0, check_at=5)
    assert (batch.free_slots, batch.next_items()) == (0, [])


def test_without_a_limit_of_failures_all_items_are_submitted():
    batch = make_ledger(3, max_failures=None)
    batch.mark_failed(0, InvalidRequest("no"))
    assert batch.next_items() == [1, 2]


@pytest.mark.parametrize(
    ("most", "failures", "is_success"),
    [
        (None, 4, True),
        (1, 1, True),
        (1, 2, False),
        (2, 2, True),
        (2, 3, False),
        (0.5, 2, True),
        (0.5, 3, False),
        (0, 1, False),
    ],
)
def test_max_failures_is_a_number_or_a_share(most, failures, is_success):
    batch = make_ledger(4, max_failures=most)
    for index in range(4):
        batch.mark_failed(index, InvalidRequest("no")) if index < failures else batch.mark_done(index, movie(index))
    assert batch.is_success == is_success


def test_an_error_of_the_account_stops_the_batch_whatever_max_failures_is():
    batch = make_ledger(3, max_failures=None)
    batch.mark_done(0, movie(0))
    batch.stop(QuotaExhausted("no credits"))
    assert batch.next_items() == []
    assert batch.is_over
    assert not batch.is_success


def test_credits_are_the_published_prices_of_finished_renders():
    batch = make_ledger(3)
    batch.mark_done(0, movie(0))
    batch.mark_done(1, movie(1, width=3840, height=2160))
    batch.mark_failed(2, RenderFailed("no"))
    assert batch.credits() == 3 + 12
    assert batch.seconds() == 5.0


def test_a_ledger_survives_its_text():
    batch = make_ledger(6, max_failures=None)
    batch.mark_all_unknown()
    batch.recovery = Recovery(
        last_sent_at=3.5, first_read_at=4.0, read_at=12.5, next_read_at=20.0, reads_whole_run=False
    )
    for index in range(1, 6):
        batch.reset_item(index)
    batch.mark_submitted(1, f"{PROJECT}1", at=100)
    batch.mark_done(2, movie(2), remaining_quota={"time": 7})
    batch.mark_failed(3, RenderFailed("Failed to download"))
    batch.records[4].submissions = 1
    batch.mark_unconfirmed(4, SubmissionUnconfirmed("where is it"), sent_at=50, check_at=55)
    batch.mark_refused(5, RenderNotStarted("Error creating movie"), check_at=60)
    batch.stop(QuotaExhausted("no credits"))
    again = BatchLedger.from_text(batch.to_text(), rules=batch.rules)
    assert again.records == batch.records
    assert (again.stop_error, again.remaining_quota) == (batch.stop_error, batch.remaining_quota)
    assert again.recovery == batch.recovery
    assert again.index_of(f"{PROJECT}1") == 1
    assert again.digest == "d"


@pytest.mark.parametrize("text", ["", "x", "nonsense!", encode({"digest": 1}), encode([1])])
def test_a_text_that_is_not_a_ledger_is_none(text):
    assert BatchLedger.from_text(text, rules=BatchRules()) is None


def test_an_incomplete_ledger_is_none():
    batch = make_ledger(2)
    batch.mark_submitted(0, f"{PROJECT}0", at=0)
    batch.mark_submitted(1, f"{PROJECT}1", at=0)
    whole = decode(batch.to_text())
    assert BatchLedger.from_text(encode(whole), rules=batch.rules) is not None
    *others, last = whole["columns"]
    assert BatchLedger.from_text(encode({**whole, "columns": [*others, last[:-1]]}), rules=batch.rules) is None


def test_missing_facts_of_a_movie_are_not_recorded():
    batch = make_ledger(1)
    batch.mark_done(0, movie(0, ass=False, thumbnail=None))
    assert set(batch.records[0].facts) == {"url", "duration", "width", "height"}


def test_the_text_of_ten_thousand_items_is_at_most_half_a_megabyte():
    import random
    import string

    rng = random.Random(1)
    batch = make_ledger(10_000)
    for index in range(10_000):
        project = "".join(rng.choices(string.ascii_letters + string.digits, k=16))
        url = f"https://assets.json2video.com/clients/abcd1234/renders/2026-05-12-{30000 + index}.mp4"
        size = rng.randrange(10**6, 10**7)
        facts = {"project": project, "url": url, "duration": round(rng.uniform(5, 90), 2), "size": size}
        batch.mark_done(index, facts | {"width": 1080, "height": 1920, "rendering_time": rng.randrange(20, 200)})
    assert len(batch.to_text()) < 500_000


def test_a_refused_item_frees_its_slot_and_a_batch_that_is_not_stopping_waits_for_it():
    batch = make_ledger(2, max_in_flight=1)
    batch.mark_refused(0, RenderNotStarted("Error creating movie"), check_at=60)
    assert batch.next_items() == [1]
    batch.mark_submitted(1, f"{PROJECT}1", at=0)
    batch.mark_done(1, movie(1))
    assert not batch.is_over
    batch.stop(QuotaExhausted("no credits"))
    assert batch.is_over


def test_a_moment_of_sending_is_rounded_up():
    batch = make_ledger(1)
    batch.mark_unconfirmed(0, SubmissionUnconfirmed("x"), sent_at=50.4, check_at=55.4)
    [record] = BatchLedger.from_text(batch.to_text(), rules=batch.rules).records
    assert record.submitted_at >= 50.4


def test_the_first_failures_are_named_by_their_keys():
    batch = make_ledger(3, max_failures=None)
    batch.mark_failed(2, RenderFailed("Failed to download"))
    assert first_failures(batch, ["a", "b", "c"]) == [{"key": "c", "project": None, "error": "Failed to download"}]


def test_the_result_has_at_most_five_failures():
    batch = make_ledger(7, max_failures=None)
    for index in range(7):
        batch.mark_failed(index, RenderFailed("no"))
    assert [failure["key"] for failure in first_failures(batch, "abcdefg")] == list("abcde")


def test_the_summary_counts_the_items_by_state():
    batch = make_ledger(2000)
    batch.mark_submitted(0, f"{PROJECT}0", at=0)
    batch.mark_done(1, movie(1))
    batch.mark_unconfirmed(2, SubmissionUnconfirmed("x"), sent_at=0, check_at=5)
    assert batch.summarize() == ("1 of 2,000 done, 0 failed, 1 unconfirmed, 1 in flight, 1,997 pending; 3 credits")
    assert batch.tally()[ItemState.PENDING] == 1997
    batch.mark_unresolved(3, SubmissionUnconfirmed("x"))
    assert ", 1 unconfirmed, 1 unresolved, " in batch.summarize()


def test_encoded_json_is_plain_text():
    assert decode(encode({"ü": [1, None]})) == {"ü": [1, None]}
    assert encode({"a": 1}).isascii()


@pytest.mark.parametrize("text", ["", "x", "nonsense!", "%%%"])
def test_decoding_another_text_is_a_value_error(text):
    with pytest.raises(ValueError):
        decode(text)


def test_an_unpaired_surrogate_survives_encoding():
    assert decode(encode({"message": "broken \ud83d"})) == {"message": "broken \ud83d"}
