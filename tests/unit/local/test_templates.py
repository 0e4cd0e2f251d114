"""Templates: what is stored, what is shown of it, and the library."""

from __future__ import annotations

import pytest

from airflow_json2video.local import LocalService

MOVIE = {
    "resolution": "sd",
    "variables": {
        "title": "Hi",
        "n": 5,
        "ok": True,
        "logo": "https://a.example/a.png",
        "who": {"name": "Ada"},
        "tags": ["a", "b"],
    },
    "scenes": [{"duration": 1}],
}


class Templates:
    def __init__(self, client):
        self.session, self.url = client.session, f"{client.service.host}/templates"

    def get(self, path="", **params):
        return self.session.get(self.url + path, params=params, timeout=10)

    def one(self, id_, **params):
        return self.get(id=id_, **params).json()["template"]

    def post(self, body, **params):
        return self.session.post(self.url, json=body, params=params, timeout=10)

    def make(self, **body):
        return self.post({"name": "One", "movie": MOVIE, **body}).json()["templateId"]


@pytest.fixture
def templates(client):
    return Templates(client)


def test_one_template_has_exactly_the_documented_fields(templates):
    view = templates.one(templates.make(tags=["x"], prompt="Make it blue"))
    assert set(view) == {
        "id", "name", "tags", "movie", "ai_prompt", "owner", "prompt", "created_at", "updated_at",
    }  # fmt: skip
    assert (view["owner"], view["prompt"], view["ai_prompt"], view["movie"]) == (True, True, None, MOVIE)


def test_scopes_choose_movie_and_prompt(templates):
    id_ = templates.make(prompt="Make it blue")
    both = templates.one(id_, scopes="movie,prompt")
    assert (both["movie"], both["ai_prompt"]) == (MOVIE, "Make it blue")
    alone = templates.one(id_, scopes="prompt")
    assert "movie" not in alone
    assert alone["ai_prompt"] == "Make it blue"


def test_a_movie_stored_as_text_is_returned_as_text(templates):
    text = '{"scenes": [] }'
    assert templates.one(templates.make(movie=text))["movie"] == text


def test_the_list_is_filtered_by_tag_and_starts_with_the_last_change(templates, service):
    service.clock.freeze()
    first = templates.make(name="A", tags="x,y")
    service.clock.advance(1)
    second = templates.make(name="B", tags=["x"])
    service.clock.advance(1)
    assert [t["id"] for t in templates.get().json()["templates"]] == [second, first]
    templates.post({"name": "A2"}, id=first)
    listed = templates.get(tag="x").json()
    assert [t["id"] for t in listed["templates"]] == [first, second]
    assert listed["count"] == 2
    assert set(listed["templates"][0]) == {"id", "name", "tags", "created_at", "updated_at"}
    assert [t["id"] for t in templates.get(tag="y").json()["templates"]] == [first]


def test_a_json_schema_replaces_the_movie(templates):
    view = templates.one(templates.make(), format="jsonschema")
    assert "movie" not in view
    properties = view["variables"]["properties"]
    assert properties["ok"] == {"type": "boolean", "default": True}
    assert properties["who"]["type"] == "object"


def test_make_descriptors_have_text_defaults_and_two_fields_of_the_services_own(templates):
    fields = {f["name"]: f for f in templates.one(templates.make(), format="make")["variables"]}
    assert {name: (f["type"], f["default"]) for name, f in fields.items()} == {
        "title": ("text", "Hi"),
        "n": ("number", "5"),
        "ok": ("boolean", "true"),
        "logo": ("url", "https://a.example/a.png"),
        "who": ("collection", "[object Object]"),
        "tags": ("array", "a,b"),
        "make_webhook_url": ("url", ""),
        "client_data": ("collection", ""),
    }
    assert fields["who"]["spec"][0]["name"] == "name"


def test_the_library_shows_sizes_and_no_movies_and_a_tag_adds_to_it(templates):
    plain = templates.get("/library").json()["templates"]
    more = templates.get("/library", tags="real estate").json()["templates"]
    assert set(plain[0]) == {
        "id", "name", "tags", "width", "height", "video_url", "thumbnail_url", "updated_at",
    }  # fmt: skip
    assert len(more) == len(plain) + 1
    assert [t["id"] for t in plain] == [t["id"] for t in more[: len(plain)]]
    assert templates.get().json()["templates"] == []


def test_the_shared_tools_are_a_list_of_their_own(templates):
    mine = templates.make()
    shared = templates.get(shared="tools").json()["templates"]
    assert shared
    assert mine not in [t["id"] for t in shared]


def test_a_library_template_is_read_rendered_and_copied_but_not_changed(client, templates):
    id_ = templates.get("/library").json()["templates"][0]["id"]
    assert templates.one(id_)["owner"] is False
    movie = client.finished(movie={"template": id_, "variables": {"seconds": 3}, "resolution": "sd"})
    assert (movie["status"], movie["duration"], movie["width"]) == ("done", 3, 640)
    copy = templates.post({"variables": {"title": "Mine"}}, id=id_, action="duplicate").json()
    variables = templates.one(copy["templateId"])["movie"]["variables"]
    assert (variables["title"], variables["seconds"]) == ("Mine", 5)
    assert templates.post({"name": "x"}, id=id_).status_code == 400
    assert templates.session.delete(templates.url, params={"id": id_}).status_code == 400


def test_a_copy_merges_variables_deeply_and_does_not_change_the_original(templates):
    id_ = templates.make()
    body = {"name": "Copy", "variables": {"who": {"age": 36}}}
    answer = templates.post(body, id=id_, action="duplicate").json()
    assert answer["name"] == "Copy"
    assert templates.one(answer["templateId"])["movie"]["variables"]["who"] == {"name": "Ada", "age": 36}
    assert templates.one(id_)["movie"] == MOVIE


def test_a_template_built_from_a_template_has_its_movie(templates):
    base = templates.make()
    id_ = templates.make(movie={"template": base, "variables": {"title": "Other"}})
    movie = templates.one(id_)["movie"]
    assert movie["scenes"] == MOVIE["scenes"]
    assert (movie["variables"]["title"], movie["variables"]["n"]) == ("Other", 5)
    assert templates.post({"name": "x", "movie": {"template": "nope"}}).json()["message"] == "Template nope not found"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "No payload provided"),
        ({"movie": MOVIE}, "name is required"),
        ({"name": "x", "tags": 5}, "Tags must be a string or an array"),
        ({"name": "x", "movie": 5}, "Payload movie must be a JSON string or JSON object"),
    ],
)
def test_a_template_that_cannot_be_stored_is_refused(templates, body, message):
    answer = templates.post(body)
    assert (answer.status_code, answer.json()["message"]) == (400, message)


def test_deleting_a_template_leaves_its_renders_alone(client, templates, service):
    service.settings.render_seconds = 5
    id_ = templates.make()
    project = client.submit(movie={"template": id_})
    answer = templates.session.delete(templates.url, params={"id": id_}).json()
    assert set(answer) == {"success", "timestamp"}
    assert service.wait_idle(10)
    service.clock.advance(6)
    assert client.status(project) == "done"
    assert templates.get(id=id_).status_code == 400


def test_a_seeded_restart_does_not_reuse_an_id(tmp_path, make_client):
    ids = []
    for _ in range(2):
        with LocalService(mode="instant", home=tmp_path, seed=7) as service:
            ids.append(Templates(make_client(service)).make())
    assert len(set(ids)) == 2
