"""The page at ``/`` in a browser: it plays videos, refreshes itself, and runs no script of a movie."""

from __future__ import annotations

import requests

MOVIE = {"width": 320, "height": 180, "scenes": [{"duration": 2, "background-color": "#4392F1"}]}
NASTY = "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script>"


def submit(service, **more):
    answer = requests.post(f"{service.host}/movies", json={**MOVIE, **more}, headers={"x-api-key": "key"}, timeout=10)
    return answer.json()["project"]


def rendered(service, **more):
    project = submit(service, **more)
    assert service.wait_idle()
    return project


async def test_it_shows_pictures_and_asks_for_nothing_from_elsewhere(tab, service):
    project = rendered(service, comment="A blue movie")
    await tab.open(service.url)
    await tab.until(f"document.querySelector('[id=\\'{project}\\'] img').naturalWidth === 320")
    assert "A blue movie" in await tab.js("document.body.innerText")
    assert tab.problems == []
    assert {address.split("/", 3)[2] for address in tab.requested_urls} == {service.url.split("/")[2]}


async def test_a_click_plays_the_video_in_its_place(tab, service):
    project = rendered(service)
    await tab.open(service.url)
    await tab.js(f"document.querySelector('[id=\\'{project}\\'] a.picture').click()")
    assert await tab.until(f"document.querySelector('[id=\\'{project}\\'] video').currentTime > 0.2")
    assert await tab.js("location.pathname") == "/"
    assert tab.problems == []


async def test_a_new_render_appears_and_a_playing_video_continues(tab, service):
    first = rendered(service)
    await tab.open(service.url)
    await tab.js(f"document.querySelector('[id=\\'{first}\\'] a.picture').click()")
    await tab.js(f"window.playing = document.querySelector('[id=\\'{first}\\'] video')")
    second = rendered(service)
    await tab.until(f"!!document.querySelector('[id=\\'{second}\\'].done img')")
    assert await tab.js("[...document.querySelectorAll('article')].map((card) => card.id)") == [second, first]
    assert await tab.js(f"document.querySelector('[id=\\'{first}\\'] video') === window.playing")
    assert await tab.js("document.querySelector('#account').innerText.includes('596')")


async def test_a_status_that_changes_changes_on_the_page(tab, service):
    service.settings.render_seconds = 600
    project = submit(service)
    assert service.wait_idle()
    await tab.open(service.url)
    await tab.until(f"!!document.querySelector('[id=\\'{project}\\'].running')")
    service.clock.advance(600)
    await tab.until(f"!!document.querySelector('[id=\\'{project}\\'].done')")


async def test_nothing_that_a_movie_names_runs(tab, service):
    rendered(service, comment=NASTY)
    rendered(service, scenes=[{"elements": [{"type": NASTY}]}])
    await tab.open(service.url)
    assert await tab.js("document.querySelectorAll('article').length") == 2
    await tab.until("!document.querySelector('img').loading || document.querySelector('img').complete")
    assert await tab.js("window.hacked === undefined")
    assert await tab.js("document.querySelectorAll('article script, h2 img').length") == 0


async def test_a_narrow_window_shows_the_whole_page(tab, service):
    rendered(service, comment="averylongwordwithoutanyspaces" * 4)
    await tab.size(320, 640)
    await tab.open(service.url)
    assert await tab.js("document.documentElement.scrollWidth") == 320


async def test_a_service_that_stopped_is_reported_on_the_page(tab, service):
    project = rendered(service)
    await tab.open(service.url)
    service.stop()
    await tab.until("!document.getElementById('error').hidden")
    assert await tab.js(f"!!document.getElementById('{project}')")


async def test_a_portrait_video_is_completely_visible(tab, service):
    project = rendered(service, width=180, height=320)
    await tab.open(service.url)
    await tab.until(f"document.querySelector('[id=\\'{project}\\'] img').naturalWidth === 180")
    box = "JSON.stringify(document.querySelector('{}').getBoundingClientRect())"
    assert await tab.js(box.format(".picture img")) == await tab.js(box.format(".picture"))
