"""The price of a render in addition to its seconds: generated assets, by the catalog."""

from __future__ import annotations

import pytest

from airflow_json2video.local import LocalService


@pytest.fixture
def cost(client, service):
    """Render elements over 4 s and return the credits charged, without the 4 seconds of video."""

    def pay(*elements, seconds=4):
        before = service.credits_left
        client.finished(movie={"resolution": "sd", "scenes": [{"duration": seconds, "elements": list(elements)}]})
        return before - service.credits_left - seconds

    return pay


def made(model, kind="image", **more):
    return {"type": kind, "prompt": "A calm ocean", "model": model, **more}


@pytest.mark.parametrize(
    ("element", "price"),
    [
        (made("flux-schnell"), 0),
        (made("flux-pro"), 20),
        (made("nano-banana-pro"), 80),
        (made("text-to-image-pro"), 15),
        (made("seedance-v1.5-pro", "video", duration=3), 60),
        (made("wan-v2.5", "video", duration=2.5), 90),
        (made("flux-pro", connection="my-account"), 0),
        (made("flux-pro", src="https://a.example/a.png"), 0),
        (made("flux-pro", condition="{{ false }}"), 0),
        (made("some-new-model"), 0),
        ({"type": "voice", "text": "Hello", "model": "elevenlabs"}, 0),
    ],
)
def test_generated_assets_cost_the_price_in_the_catalog(cost, element, price):
    assert cost(element) == price


def test_the_same_asset_is_paid_for_once_in_three_days(cost, service):
    service.clock.freeze()
    assert cost(made("flux-pro"), made("flux-pro")) == 20
    assert cost(made("flux-pro"), made("flux-pro", prompt="A lighthouse")) == 20
    assert cost(made("flux-pro", **{"aspect-ratio": "squared"})) == 20
    service.clock.advance(3 * 86400 + 60)
    assert cost(made("flux-pro")) == 20


def test_an_asset_that_may_not_come_from_the_cache_is_paid_for_each_time(cost):
    assert [cost(made("flux-pro", cache=False)) for _ in range(2)] == [20, 20]


def test_an_asset_that_is_saved_to_the_drive_stays_paid_for(cost, service):
    service.clock.freeze()
    assert cost(made("flux-pro", **{"save-to-media": True})) == 20
    service.clock.advance(30 * 86400)
    assert cost(made("flux-pro")) == 0


def test_a_failed_render_pays_for_no_asset(client, service, cost):
    client.finished(movie={"scenes": [{"elements": [made("flux-pro"), {"type": "video"}]}]})
    assert service.credits_left == 600
    assert cost(made("flux-pro")) == 20


def test_assets_stay_paid_for_over_a_restart_and_cost_the_same_when_drawn(tmp_path, make_client):
    pytest.importorskip("av")
    movie = {"width": 64, "height": 64, "fps": 5, "scenes": [{"duration": 1, "elements": [made("flux-pro")]}]}
    with LocalService(mode="preview", home=tmp_path) as service:
        make_client(service).finished(movie=movie)
        assert service.credits_left == 579
    with LocalService(mode="preview", home=tmp_path) as service:
        make_client(service).finished(movie=movie)
        assert service.credits_left == 578
