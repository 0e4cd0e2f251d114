"""Every style of transition begins with the old scene and ends with the new one."""

from __future__ import annotations

import numpy as np
import pytest

from airflow_json2video.local.drawing.transitions import STYLES
from tests.unit.local.drawn_movie import BLUE, RED, DrawnMovie, to_hex

FRAMES = 20


def two_scenes(style):
    words = {"type": "text", "text": "XXX", "settings": {"font-size": "30px"}}
    return {
        "width": 64, "height": 64, "fps": 20,
        "scenes": [
            {"duration": 1.5, "background-color": to_hex(BLUE), "elements": [words]},
            {"duration": 1.5, "background-color": to_hex(RED), "transition": {"style": style, "duration": FRAMES / 20}},
        ],
    }  # fmt: skip


@pytest.mark.parametrize("style", sorted(STYLES))
def test_a_transition_goes_from_the_old_scene_to_the_new_without_a_flash_at_its_cuts(tmp_path, style):
    drawn = DrawnMovie(two_scenes(style), tmp_path)
    assert len(drawn.frames) == 40
    pictures = [np.asarray(frame, dtype=float) for frame in drawn.frames]
    old, new = pictures[0], pictures[-1]
    apart = np.abs(old - new).mean()

    def off(frame, scene):
        return np.abs(pictures[frame] - scene).mean() / apart

    # The transition is at frames 10 to 29. Next to a cut there is hardly a change.
    assert off(9, old) == 0
    assert off(10, old) < 0.2
    assert off(29, new) < 0.2
    assert off(30, new) == 0
    # And it is on its way between.
    assert off(20, old) > 0.15
    assert off(20, new) > 0.1 or style in ("fadefast", "distance")
