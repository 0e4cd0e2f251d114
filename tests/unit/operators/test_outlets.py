"""The events of a render task's outlets."""

from __future__ import annotations

import json

import pytest
from airflow.providers.common.compat.sdk import Asset, AssetAlias

from airflow_json2video.core.identity import fingerprint
from airflow_json2video.operators import _render
from airflow_json2video.operators._outlets import _emit
from airflow_json2video.operators.render import Json2VideoRenderOperator
from tests.unit.attempts import Attempt, alias_events, outlet_event_accessors

MOVIE = {
    "resolution": "sd",
    "client-data": {"token": "SECRET"},
    "scenes": [{"duration": 2, "elements": [{"type": "text", "text": "Hi"}]}],
}
VIDEOS = Asset("json2video://marketing/weekly-report")
COPIES = Asset("s3://videos/weekly-report.mp4")


@pytest.fixture
def render(connection):
    def make(**arguments):
        arguments = {"task_id": "render", "movie": MOVIE, "poll_interval": 0.3, **arguments}
        return Json2VideoRenderOperator(**arguments)

    return make


def run(operator, **options):
    outlet_events = outlet_event_accessors()
    result = Attempt(operator, names={"outlet_events": outlet_events}, **options).run()
    return result, outlet_events


@pytest.mark.parametrize("deferrable", [True, False])
def test_every_asset_of_the_outlets_gets_the_facts_of_the_video(render, deferrable):
    result, events = run(render(outlets=[VIDEOS, COPIES], deferrable=deferrable))
    facts = events[VIDEOS].extra
    assert events[COPIES].extra == facts
    for name in ("project", "url", "duration", "size", "width", "height", "ended_at"):
        assert facts[name] == result[name] is not None
    assert facts["credits"] == 2
    assert facts["movie_hash"] == fingerprint(MOVIE)
    assert facts["stored_path"] is None
    assert json.loads(json.dumps(facts)) == facts


def test_neither_key_nor_client_data_is_in_an_event(render):
    _, events = run(render(outlets=[VIDEOS]))
    text = json.dumps(events[VIDEOS].extra)
    assert "SECRET" not in text
    assert "a-key-of-the-tests" not in text


def test_the_hash_is_the_same_in_every_run_and_another_for_another_movie(render):
    hashes = [run(render(outlets=[VIDEOS]), run_id=f"run{n}")[1][VIDEOS].extra["movie_hash"] for n in range(2)]
    other = render(outlets=[VIDEOS], movie={**MOVIE, "resolution": "hd"})
    assert hashes[0] == hashes[1] != run(other)[1][VIDEOS].extra["movie_hash"]


def test_the_hash_is_that_of_the_movie_with_its_variables(render):
    movie = {**MOVIE, "variables": {"city": "Bern"}}
    _, events = run(render(outlets=[VIDEOS], movie=movie, variables={"city": "Basel"}))
    assert events[VIDEOS].extra["movie_hash"] == fingerprint({**movie, "variables": {"city": "Basel"}})


def test_an_alias_gets_an_event_of_the_asset_of_the_task(render):
    _, events = run(render(outlets=[AssetAlias("videos")]))
    [(address, extra)] = alias_events(events[AssetAlias("videos")])
    assert address == "json2video://json2video_default/a_dag/render"
    assert extra["project"]


def test_an_alias_gets_an_event_of_the_asset_of_the_template(render, service):
    template = service.add_template(MOVIE, id="abc123def456ghi789jk")
    _, events = run(render(outlets=[AssetAlias("videos")], movie=None, template=template))
    [(address, _)] = alias_events(events[AssetAlias("videos")])
    assert address == f"json2video://json2video_default/{template}"


def test_what_the_author_added_to_an_event_stays(render):
    outlet_events = outlet_event_accessors()
    outlet_events[VIDEOS].extra = {"campaign": "spring", "credits": "none of your business"}
    Attempt(render(outlets=[VIDEOS]), names={"outlet_events": outlet_events}).run()
    extra = outlet_events[VIDEOS].extra
    assert extra["campaign"] == "spring"
    assert extra["credits"] == "none of your business"
    assert extra["project"]


def test_a_task_that_does_not_wait_emits_the_project(render, service):
    result, events = run(render(outlets=[VIDEOS], wait_for_completion=False))
    facts = events[VIDEOS].extra
    assert facts["project"] == result["project"]
    assert facts["url"] is None
    assert facts["movie_hash"]


def test_a_render_that_fails_emits_no_event(render, service):
    service.add_fault("render", status="error", message="no such font")
    outlet_events = outlet_event_accessors()
    with pytest.raises(Exception, match="no such font"):
        Attempt(render(outlets=[VIDEOS]), names={"outlet_events": outlet_events}).run()
    assert outlet_events[VIDEOS].extra == {}


def test_a_failed_asset_event_does_not_fail_a_task_whose_video_is_done(render, times_logged):
    class Broken(dict):
        def __missing__(self, key):
            raise RuntimeError("the supervisor is gone")

    attempt = Attempt(render(outlets=[VIDEOS]), names={"outlet_events": Broken()})
    assert attempt.run()["url"]
    assert times_logged("Could not emit the asset event for render") == 1


def test_several_videos_are_one_event_of_an_asset_and_one_each_of_an_alias(render):
    outlet_events = outlet_event_accessors()
    outlets = [VIDEOS, AssetAlias("videos")]
    videos = [{"project": "a", "movie_hash": None}, {"project": "b", "movie_hash": None}]
    context = {"outlet_events": outlet_events}
    _emit(context, outlets, videos, account="marketing", name="lot", summary={"videos": 2})
    assert outlet_events[VIDEOS].extra == {"videos": 2}
    events = alias_events(outlet_events[AssetAlias("videos")])
    assert [extra["project"] for _, extra in events] == ["a", "b"]


def test_an_outlet_that_is_not_an_asset_is_ignored(render):
    result, events = run(render(outlets=[{"a": "dictionary"}, VIDEOS]))
    assert events[VIDEOS].extra["project"] == result["project"]


def test_an_attempt_builds_the_document_once(render, monkeypatch):
    built = []
    build = _render.build_document
    monkeypatch.setattr(_render, "build_document", lambda **arguments: built.append(arguments) or build(**arguments))
    run(render(outlets=[VIDEOS], deferrable=False))
    assert len(built) == 1
