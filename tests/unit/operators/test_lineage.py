"""What a render says to OpenLineage, through the provider's own extractor where it is installed."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from airflow_json2video.core.identity import fingerprint
from airflow_json2video.operators.render import Json2VideoRenderOperator
from tests.unit.attempts import Attempt

ROOT = Path(__file__).resolve().parents[3]
SRC = "https://user:SECRET@cdn.example.com/{}?X-Signature=SECRET"
MOVIE = {
    "resolution": "sd",
    "client-data": {"token": "SECRET"},
    "variables": {"photo": SRC.format("photos/1.png")},
    "elements": [{"type": "audio", "src": SRC.format("music.mp3")}],
    "scenes": [
        {"duration": 2, "elements": [{"type": "image", "src": "{{ photo }}"}, {"type": "text", "text": "Hi"}]},
        {"duration": 2, "elements": [{"type": "image", "src": "{{ photo }}"}]},
    ],
}
is_installed = find_spec("openlineage") is not None and find_spec("airflow.providers.openlineage") is not None
needs_openlineage = pytest.mark.skipif(not is_installed, reason="OpenLineage is not installed")


@pytest.fixture
def extracted(connection, service):
    """Run a task, and return what the provider's extractor returns for it."""

    def run(*, how="extract_on_complete", attempt=True, **arguments):
        from airflow.providers.openlineage.extractors.base import DefaultExtractor

        arguments = {"task_id": "render", "movie": MOVIE, "poll_interval": 0.3, **arguments}
        operator = Json2VideoRenderOperator(**arguments)
        result = Attempt(operator).render_templates().run() if attempt else None
        return result, getattr(DefaultExtractor(operator), how)(None)

    return run


def names(datasets):
    return [(dataset.namespace, dataset.name) for dataset in datasets]


@needs_openlineage
def test_source_media_are_the_inputs_without_query_and_credentials(extracted):
    _, lineage = extracted()
    assert names(lineage.inputs) == [
        ("https://cdn.example.com", "music.mp3"),
        ("https://cdn.example.com", "photos/1.png"),
    ]


@needs_openlineage
def test_the_video_is_the_output_with_its_size(extracted, service):
    result, lineage = extracted()
    [output] = lineage.outputs
    assert f"{output.namespace}/{output.name}" == result["url"]
    assert output.outputFacets["outputStatistics"].size == result["size"]


@needs_openlineage
def test_project_length_credits_and_hash_are_a_facet_of_the_run(extracted):
    result, lineage = extracted()
    facet = lineage.run_facets["json2video_render"]
    assert facet.project == result["project"]
    assert (facet.duration, facet.credits) == (result["duration"], int(result["duration"]))
    assert facet.movieHash == fingerprint(MOVIE)


@needs_openlineage
def test_the_template_is_a_facet_of_the_job(extracted, service):
    template = service.add_template(MOVIE, id="abc123def456ghi789jk")
    _, lineage = extracted(movie=None, template=template)
    assert lineage.job_facets["json2video_movie"].template == template
    assert lineage.inputs == []


@needs_openlineage
def test_a_task_that_fails_reports_its_inputs_and_no_output(extracted):
    _, lineage = extracted(how="extract_on_failure", attempt=False)
    assert len(lineage.inputs) == 2
    assert lineage.outputs == []
    assert lineage.run_facets["json2video_render"].project is None


@needs_openlineage
def test_a_document_that_cannot_be_read_has_no_lineage_and_fails_nothing(extracted):
    _, lineage = extracted(how="extract_on_failure", attempt=False, movie="{no JSON")
    assert (lineage.inputs, lineage.outputs) == ([], [])


@needs_openlineage
def test_no_secret_is_in_what_is_sent(extracted):
    from openlineage.client.serde import Serde

    _, lineage = extracted()
    parts = [*lineage.inputs, *lineage.outputs, *lineage.run_facets.values(), *lineage.job_facets.values()]
    sent = "".join(Serde.to_json(part) for part in parts)
    assert "photos/1.png" in sent
    assert "movieHash" in sent
    assert "SECRET" not in sent
    assert "a-key-of-the-tests" not in sent


@needs_openlineage
def test_an_asset_of_our_scheme_becomes_a_dataset_of_its_account():
    from airflow.providers.openlineage.utils.utils import translate_airflow_asset

    from airflow_json2video.assets import create_asset

    dataset = translate_airflow_asset(create_asset(account="marketing", name="weekly-report"), None)
    assert (dataset.namespace, dataset.name) == ("json2video://marketing", "weekly-report")


def test_a_task_runs_without_openlineage_and_loads_nothing_of_it():
    code = (
        "import sys\n"
        "sys.modules['openlineage'] = None\n"  # as if it were not installed
        "import logging\n"
        "from airflow_json2video.operators import _render\n"
        "context = {'ti': type('TI', (), {'dag_id': 'a', 'task_id': 'render'})()}\n"
        "facts = {'movie_hash': None, 'outlets': [], 'account': 'a', 'template': None}\n"
        "result = {'project': 'Qk3vT9zLm2XcB7wA'}\n"
        "_render.emit_asset_event(result, context=context, log=logging.getLogger(), **facts)\n"
        "print([m for m in sys.modules if m.startswith('airflow_json2video.operators._lineage.extractor')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr
