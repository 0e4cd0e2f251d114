from __future__ import annotations

import pytest

from airflow_json2video.core.refusal import seconds_to_confirmation


def test_a_refusal_counts_after_confirmations_at_one_and_five_minutes():
    refused_for, asked_at = 0.0, [0.0]
    while (pause := seconds_to_confirmation(refused_for)) is not None:
        refused_for += pause
        asked_at.append(refused_for)
    assert asked_at == [0.0, 60.0, 300.0]


@pytest.mark.parametrize(
    ("refused_for", "pause"), [(0.0, 60.0), (59.0, 1.0), (61.0, 239.0), (300.0, None), (1e9, None)]
)
def test_the_delay_ends_at_the_next_confirmation(refused_for, pause):
    assert seconds_to_confirmation(refused_for) == pause
