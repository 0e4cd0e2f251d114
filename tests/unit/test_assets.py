from __future__ import annotations

import json
import warnings
from datetime import datetime, timedelta, timezone
from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from airflow.providers.common.compat.sdk import Asset

from airflow_json2video.assets import convert_asset_to_openlineage, create_asset, sanitize_uri, triggering_videos
from airflow_json2video.get_provider_info import get_provider_info

needs_airflow_3 = pytest.mark.skipif(find_spec("airflow.sdk") is None, reason="2.11 warns where 3 refuses")
VIDEO = {"project": "Qk3vT9zLm2XcB7wA", "url": "https://a/b.mp4", "movie_hash": None}


def sanitized(uri):
    return sanitize_uri(urlsplit(uri)).geturl()


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("json2video://marketing/weekly-report", "json2video://marketing/weekly-report"),
        ("json2video://marketing//shops///north/", "json2video://marketing/shops/north"),
        ("json2video://marketing", "json2video://marketing/"),
        ("json2video://marketing/Frühling 2026", "json2video://marketing/Fr%C3%BChling%202026"),
        ("json2video://marketing/Fr%C3%BChling%202026", "json2video://marketing/Fr%C3%BChling%202026"),
        (
            "json2video://json2video_default/abc123def456ghi789jk",
            "json2video://json2video_default/abc123def456ghi789jk",
        ),
    ],
)
def test_a_uri_is_normalized(written, stored):
    assert sanitized(written) == stored
    assert sanitized(stored) == stored


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("json2video:///weekly-report", "needs an account"),
        ("json2video://SECRET@marketing/weekly-report", "must not contain a user or a password"),
        ("json2video://marketing:443/weekly-report", "must not contain a port"),
        ("json2video://marketing/weekly-report?key=SECRET", "must not contain a query"),
        ("json2video://marketing/../weekly-report", r"'\.' or '\.\.'"),
    ],
)
def test_what_has_no_place_in_an_address_is_refused_and_not_repeated(uri, why):
    with pytest.raises(ValueError, match=why) as refused:
        sanitized(uri)
    assert "SECRET" not in str(refused.value)


def test_an_asset_is_made_from_an_account_and_a_name():
    asset = create_asset(account="marketing", name="shops/north wharf", extra={"owner": "us"})
    assert isinstance(asset, Asset)
    assert asset.uri == "json2video://marketing/shops/north%20wharf"
    assert asset.extra == {"owner": "us"}
    assert create_asset().uri == "json2video://json2video_default/"


def test_any_connection_id_can_be_the_account():
    assert create_asset(account="team:a/b@c", name="x").uri == "json2video://team%3Aa%2Fb%40c/x"


def test_airflow_knows_the_scheme_from_the_provider_info():
    for kind in ("asset-uris", "dataset-uris"):
        [info] = get_provider_info()[kind]
        assert info["schemes"] == ["json2video"]
        for use in ("handler", "factory", "to_openlineage_converter"):
            module, _, name = info[use].rpartition(".")
            assert callable(getattr(import_module(module), name))


def test_airflow_normalizes_an_asset_uri_of_the_scheme():
    assert Asset(uri="JSON2VIDEO://marketing//weekly-report/#top").uri == "json2video://marketing/weekly-report"


@needs_airflow_3
def test_airflow_refuses_an_asset_of_the_scheme_without_an_account():
    with pytest.raises(ValueError, match="needs an account"):
        Asset(uri="json2video:///weekly-report")


def test_the_openlineage_dataset_of_an_asset_is_its_account_and_its_name():
    pytest.importorskip("openlineage.client", reason="the dataset is a class of OpenLineage's client")
    dataset = convert_asset_to_openlineage(create_asset(account="marketing", name="shops/north wharf"), None)
    assert (dataset.namespace, dataset.name) == ("json2video://marketing", "shops/north wharf")
    assert convert_asset_to_openlineage(create_asset(account="marketing"), None).name == "/"


def event(extra, *, after=0):
    moment = datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=after)
    return SimpleNamespace(extra=extra, timestamp=moment)


@pytest.mark.parametrize("key", ["triggering_asset_events", "triggering_dataset_events"])
def test_a_run_gets_the_videos_that_triggered_it_oldest_first(key):
    later, sooner = {**VIDEO, "project": "later"}, {**VIDEO, "project": "sooner"}
    watched = {"from_trigger": True, "payload": {**VIDEO, "status": "done"}}
    context = {key: {"a": [event(later, after=9), event(sooner)], "b": [event(watched, after=5), event({"other": 1})]}}
    videos = triggering_videos(context)
    assert [video["project"] for video in videos] == ["sooner", VIDEO["project"], "later"]
    assert json.loads(json.dumps(videos)) == videos


def test_a_run_that_no_asset_triggered_gets_no_videos():
    assert triggering_videos({}) == []
    assert triggering_videos({"triggering_asset_events": {}}) == []


def test_creating_an_asset_of_the_scheme_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        create_asset(name="weekly-report")
