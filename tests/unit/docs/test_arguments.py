"""The pages list every argument of an operator, the ones a user needs first."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from airflow_json2video.operators.batch import Json2VideoBatchRenderOperator
from airflow_json2video.operators.render import Json2VideoRenderOperator
from airflow_json2video.sensors.render import Json2VideoRenderSensor
from airflow_json2video.triggers.render import Json2VideoRenderTrigger

DOCS = Path(__file__).parents[3] / "docs"
NEEDED, REST = "### The ones you need\n", "### The rest, by purpose\n"
PAGES = {
    "operator": Json2VideoRenderOperator,
    "batch": Json2VideoBatchRenderOperator,
    "sensor": Json2VideoRenderSensor,
    "trigger": Json2VideoRenderTrigger,
}
OF_AIRFLOW = {"sensor": {"poke_interval", "timeout"}}  # Airflow's own arguments, with a meaning of ours


def listed(section: str) -> list[str]:
    """Return the arguments in the first column of the tables of a section."""
    cells = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_lists_every_argument_and_at_most_six_as_needed(page):
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    needed = text.split(NEEDED)[1].split(REST)[0]
    rest = re.split(r"^## ", text.split(REST)[1], maxsplit=1, flags=re.MULTILINE)[0]
    own = set(inspect.signature(PAGES[page].__init__).parameters) - {"self", "kwargs", "unknown"}
    assert sorted(listed(needed) + listed(rest)) == sorted(own | OF_AIRFLOW.get(page, set()))
    assert len(listed(needed)) <= 6
