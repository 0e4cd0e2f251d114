"""How the service responds to each movie that a strict client would not send: most are taken and fail late, if at all.

The words of the refusals, and of 06 and 14, are the real service's; what the sources leave open is marked as ours.
"""

from __future__ import annotations

from pathlib import Path

import pytest

MOVIES = Path(__file__).parents[2] / "data" / "movies" / "invalid"
PARSING = "Error parsing movie JSON or the movie was empty"
NO_SOURCE = "Scene #1, element #1: The element type 'video' requires a 'src' property."
ZERO = "Movie duration cannot be zero"

REFUSED = {
    "01-not-json": (400, PARSING),
    "02-empty-body": (400, "No movie JSON received"),
    "03-null-body": (400, "No valid movie JSON received"),
    "04-array-root": (400, "No valid movie JSON received"),
    "10-frame-too-large": (401, "Movie is larger (7680x4320) than your plan allowance (3840x3840)"),
}
TWO = "Movie, element #2: A movie can have only one 'subtitles' element"
FAIL_LATE = {
    "05-no-scenes-no-template": ZERO,  # ours: 400 or a failed render, its text not known
    "06-video-without-src": NO_SOURCE,
    "07-unknown-element-type": "Scene #1, element #1: Unknown element type 'template'",  # our words
    "08-element-without-type": "Scene #1, element #1: The element has no 'type'",  # our words
    "09-bad-resolution": "Invalid resolution '8k'",  # our words
    "12-negative-duration": ZERO,  # ours: -5 is taken for "not given"
    "13-two-subtitles": TWO,  # documented as not allowed; our words
    "14-zero-length-movie": ZERO,
}
RENDERED = {
    "11-z-index-out-of-range",
    "15-webhook-without-endpoint",
    "16-top-level-webhook",
    "17-client-data-underscore",
    "18-both-image-sources",
    "19-bad-chroma-key",
    "20-email-incomplete",
    "21-crop-without-size",
    "22-s3-destination",
    "23-transition-longer-than-scene",
}


def post(client, service, name):
    body = (MOVIES / f"{name}.json").read_bytes()
    return client.session.post(f"{service.host}/movies", data=body, timeout=10)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_an_invalid_movie_is_refused_at_submission(client, service, name):
    answer = post(client, service, name)
    assert (answer.status_code, answer.json()["message"]) == REFUSED[name]
    assert client.get().json()["count"] == 0


@pytest.mark.parametrize("name", sorted(FAIL_LATE))
def test_an_invalid_movie_is_accepted_and_its_render_fails(client, service, name):
    answer = post(client, service, name)
    assert answer.status_code == 200
    assert service.wait_idle(20)
    seen = client.movie(answer.json()["project"])
    assert (seen["status"], seen["message"]) == ("error", FAIL_LATE[name])
    assert service.credits_left == 600


@pytest.mark.parametrize("name", sorted(RENDERED))
def test_a_movie_with_a_mistake_is_rendered_without_it(client, service, name):
    answer = post(client, service, name)
    assert answer.status_code == 200
    assert service.wait_idle(20)
    seen = client.movie(answer.json()["project"])
    assert (seen["status"], seen["message"]) == ("done", "")
    if name == "17-client-data-underscore":
        assert seen["client-data"] == {}


def test_every_example_of_a_wrong_movie_is_here():
    assert {path.stem for path in MOVIES.glob("*.json")} == {*REFUSED, *FAIL_LATE, *RENDERED}
