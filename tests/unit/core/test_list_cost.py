from __future__ import annotations

import pytest

from airflow_json2video.core.list_cost import ListCostModel

NOW = 1_000_000.0


def costs(*, entry=500.0):
    known = ListCostModel()
    known.on_page(entries=10, size=int(10 * entry), now=NOW)
    return known


def ages(*seconds):
    return [NOW - age for age in seconds]


def best(known, due, *, waiting=None, now=NOW):
    return known.best_scan(due, waiting=waiting or due, now=now)


def scanned(known, scan, *, entries, found, cost=3.0):
    known.on_scan(scan, entries=entries, expected=100, found=found, cost=cost, is_complete=True)


def test_a_few_renders_are_polled_one_by_one():
    assert best(costs(), ages(1, 2, 3, 4)) is None


def test_many_renders_are_worth_a_page():
    scan = best(costs(), ages(*range(200)))
    assert scan.page_size == 100
    assert scan.covers == NOW - 199
    assert scan.edges[0] < NOW - 199
    assert scan.edges[-1] > NOW


def test_the_first_page_of_an_account_is_a_small_probe():
    scan = best(ListCostModel(), ages(*range(200)))
    assert scan.is_probe
    assert scan.page_size == 10


@pytest.mark.parametrize(("entry", "is_worth_it"), [(500, True), (20_000, True), (60_000, False), (2_000_000, False)])
def test_a_list_whose_documents_cost_more_than_single_polls_is_not_read(entry, is_worth_it):
    assert (best(costs(entry=entry), ages(*range(100))) is not None) == is_worth_it


def test_pages_of_larger_documents_have_fewer_entries():
    heavy = costs(entry=45_000)
    assert best(heavy, ages(*[60] * 300)) is None or best(heavy, ages(*[60] * 300)).page_size <= 90
    assert best(costs(entry=40_000), ages(*[60] * 5000)).page_size == 100


def test_a_long_list_is_read_in_parts_at_the_same_time():
    scan = best(costs(), ages(*range(2000)))
    assert len(scan.edges) == 3
    assert list(scan.edges) == sorted(scan.edges)
    assert len(best(costs(), ages(*range(150))).edges) == 2


def test_one_old_render_does_not_extend_the_range_of_a_crowded_list():
    known = costs()
    scanned(known, best(known, ages(*[86_000] * 200)), entries=40_000, found=100)
    assert best(known, ages(*range(100), 86_000)).covers >= NOW - 100


def test_renders_older_than_the_longest_range_are_polled_one_by_one():
    day = 86400.0
    assert best(costs(), ages(*[100 * day] * 200)) is None
    assert best(costs(), ages(*[100 * day] * 200, *range(50))).covers >= NOW - 50


def test_a_list_crowded_with_renders_of_others_is_not_read():
    known = costs()
    scan = best(known, ages(*range(20)))
    scanned(known, scan, entries=20_000, found=20)
    assert best(known, ages(*range(20))) is None


def test_a_list_that_does_not_show_the_waiting_renders_is_not_read():
    known = costs()
    for _ in range(6):
        if scan := best(known, ages(*range(20))):
            scanned(known, scan, entries=20, found=0, cost=1.0)
    assert best(known, ages(*range(20))) is None


def test_a_list_that_cannot_be_read_is_tried_again_after_longer_delays():
    known, now, pauses = costs(), NOW, []
    for _ in range(8):
        known.on_failure(now=now)
        begun = now
        while best(known, [now - age for age in range(200)], now=now) is None:
            now += 10
        pauses.append(now - begun)
    assert pauses[:3] == [60, 120, 240]
    assert pauses[-1] == 1800


def test_trying_a_useless_list_adds_at_most_a_tenth_to_the_cost():
    known, wasted, singles = costs(), 0.0, 0
    for _ in range(5000):
        if scan := best(known, ages(*range(200))):
            known.on_budget_spent(scan, entries=100, cost=50.0)
            known._density = None  # as if nothing were learned from it
            wasted += 50
        known.on_single()
        singles += 1
    assert 0 < wasted <= 50 + singles / 10


def test_a_useful_scan_resets_the_setbacks():
    known = costs()
    known.on_failure(now=NOW - 1000)
    known.on_failure(now=NOW - 500)
    scanned(known, best(known, ages(*range(200))), entries=200, found=100)
    assert known.setbacks == 0


def test_a_scan_that_spends_its_budget_shows_that_the_list_is_long():
    known = costs()
    old, young = ages(*[80_000] * 100), ages(*range(100))
    known.on_budget_spent(best(known, old), entries=3000, cost=1.0)
    assert best(known, young) is None
    for _ in range(10):
        known.on_single()
    assert best(known, old) is None
    assert best(known, young) is not None


def test_pages_that_could_not_be_read_become_smaller():
    known = costs()
    known.on_failure(now=NOW - 100, smaller_pages_than=100)
    assert best(known, ages(*range(200))).page_size == 25


def test_what_was_learned_is_forgotten_after_ten_minutes():
    known = costs(entry=2_000_000)
    assert best(known, ages(*range(200))) is None
    later = NOW + 700
    assert best(known, [later - age for age in range(200)], now=later).is_probe


def test_after_an_empty_page_there_is_no_second_probe():
    known = ListCostModel()
    known.on_page(entries=0, size=100, now=NOW)
    assert not best(known, ages(*range(200))).is_probe
