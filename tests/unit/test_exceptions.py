"""The tree of errors, and the classification of the service's refusals."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path

import pytest

from airflow_json2video import exceptions
from airflow_json2video.api.errors import error_from_response
from airflow_json2video.core.render_failure import error_from_render
from airflow_json2video.exceptions import (
    AccountSuspended,
    AlreadyExists,
    ApiError,
    AuthenticationFailed,
    Billing,
    InvalidMovie,
    InvalidRequest,
    Json2VideoError,
    MediaNotFound,
    NotFound,
    PermissionDenied,
    PlanLimitExceeded,
    ProjectNotFound,
    QuotaExhausted,
    RateLimited,
    RenderFailed,
    RenderNotStarted,
    ServerError,
    TemplateNotFound,
    error_from_dict,
    find_error,
)


@pytest.fixture(autouse=True)
def whole_messages():
    """Override the fixture of the same name: the exceptions are unchanged."""


LEAKED = "TypeError: Cannot read properties of null (reading 'success')"

TABLE = [
    # Keys and accounts, on any call.
    ("movies.get", 400, "Error: API Key not provided", AuthenticationFailed),
    ("movies.submit", 400, "Error: Invalid API Key", AuthenticationFailed),
    ("movies.submit", 401, "Error: Invalid API Key", AuthenticationFailed),
    ("movies.submit", 403, "Invalid API key", AuthenticationFailed),
    ("movies.list", 401, "Unauthorized", AuthenticationFailed),
    ("movies.list", 403, "The key has expired", AuthenticationFailed),
    ("movies.submit", 400, "Insufficient credits", QuotaExhausted),
    ("movies.submit", 402, "Payment Required", QuotaExhausted),
    (
        "movies.submit",
        401,
        "You exceeded the quota of movies in your plan. Please upgrade your plan to continue.",
        QuotaExhausted,
    ),
    (
        "movies.submit",
        401,
        "Movie is larger (3840x2160) than your plan allowance (1920x1080)",
        PlanLimitExceeded,
    ),
    ("movies.submit", 401, "You exceeded the quota of drafts in your plan", QuotaExhausted),
    ("movies.submit", 403, "Invalid token", AuthenticationFailed),
    ("movies.list", 403, "Invalid token", AuthenticationFailed),
    ("movies.list", 400, "Invalid next_token", InvalidRequest),
    (
        "movies.get",
        400,
        "Project ID must be a 16-character string. Received ID: '' (length: 0)",
        InvalidRequest,
    ),
    ("movies.submit", 414, "URI Too Long", InvalidRequest),
    ("movies.submit", 401, "Not possible in your plan", PlanLimitExceeded),
    ("movies.submit", 403, "account_suspended", AccountSuspended),
    ("movies.get", 400, "Your account has been suspended", AccountSuspended),
    ("templates.create", 403, "Insufficient permissions", PermissionDenied),
    ("movies.delete", 400, "Insufficient permissions", PermissionDenied),
    ("movies.get", 403, "Forbidden", PermissionDenied),
    # Submissions.
    ("movies.submit", 400, "No movie JSON received", InvalidRequest),
    ("movies.submit", 400, "Error parsing movie JSON or the movie was empty", InvalidRequest),
    ("movies.submit", 400, "No valid movie JSON received", InvalidRequest),
    ("movies.submit", 404, "Template not found", TemplateNotFound),
    ("movies.submit", 400, "Template abc123def456ghi789jk not found", TemplateNotFound),
    ("movies.submit", 404, "Not Found", NotFound),
    ("movies.submit", 413, "Request Too Long", InvalidRequest),
    ("movies.submit", 405, "Method Not Allowed", InvalidRequest),
    ("movies.submit", 500, "Error creating movie: Insufficient credits", RenderNotStarted),
    ("movies.submit", 500, "Error starting subprocess", RenderNotStarted),
    ("movies.submit", 400, LEAKED, ServerError),
    # The status of a render, and the deletion of its file.
    ("movies.get", 400, LEAKED, ProjectNotFound),
    ("movies.delete", 400, LEAKED, ProjectNotFound),
    ("movies.get", 400, "Error: " + LEAKED, ProjectNotFound),
    ("movies.get", 400, "Movie Qk3vT9zLm2XcB7wA not found", ProjectNotFound),
    ("movies.get", 404, "Not Found", ProjectNotFound),
    ("movies.get", 500, LEAKED, ServerError),
    ("movies.get", 502, "Bad Gateway", ServerError),
    (
        "movies.delete",
        400,
        "A 16-character project ID must be provided in the 'project' query parameter",
        InvalidRequest,
    ),
    # The list has no project, so a leaked error is a failure of the service.
    ("movies.list", 400, LEAKED, ServerError),
    ("movies.list", 400, "ReferenceError: x is not defined", ServerError),
    # Templates.
    ("templates.get", 400, "Template abc123def456ghi789jk not found", TemplateNotFound),
    ("templates.get", 404, "Not Found", TemplateNotFound),
    ("templates.create", 400, "No payload provided", InvalidRequest),
    ("templates.create", 400, "Tags must be a string or an array", InvalidRequest),
    ("templates.create", 400, "Payload movie must be a JSON string or JSON object", InvalidRequest),
    # The drive.
    ("drive.file", 400, "File not found", MediaNotFound),
    ("drive.file", 404, "File not found", MediaNotFound),
    ("drive.upload", 409, "A file with this name already exists. Delete it first.", AlreadyExists),
    ("drive.upload", 400, "A file with this name already exists. Delete it first.", AlreadyExists),
    ("drive.move", 409, "A file with this name already exists in the destination folder", AlreadyExists),
    ("drive.upload", 403, "Storage is blocked. Add credits to continue uploading.", PermissionDenied),
    ("drive.upload", 413, "File exceeds maximum size of 500 MB", InvalidRequest),
    ("drive.upload", 400, "name is required", InvalidRequest),
    ("drive.delete_folder", 400, "Folder is not empty. Delete all files first.", InvalidRequest),
    ("drive.delete_folder", 400, "Cannot delete root folder", InvalidRequest),
    ("drive.delete_folder", 400, "Cannot delete the temp folder", InvalidRequest),
    ("drive.put", 403, "SignatureDoesNotMatch", InvalidRequest),
    ("drive.put", 503, "SlowDown", ServerError),
    # Any call.
    ("movies.get", 429, "Too Many Requests", RateLimited),
    ("movies.get", 400, "Too many requests, please slow down", RateLimited),
    ("movies.get", 408, "Request Timeout", ServerError),
    ("movies.get", 418, "", InvalidRequest),
]


@pytest.mark.parametrize(("call", "status", "message", "expected"), TABLE)
def test_a_refusal_is_classified_by_status_and_message(call, status, message, expected):
    error = error_from_response(status, message, call=call, subject="subject-1")
    assert type(error) is expected
    assert (error.service_message, error.http_status) == (message, status)
    assert message in str(error) or expected is TemplateNotFound
    assert str(status) in str(error)
    assert call not in str(error)
    assert error.retryable is (expected in (RateLimited, ServerError, RenderNotStarted))
    ambiguous = call == "movies.submit" and expected in (ServerError, RateLimited)
    assert error.billing is (Billing.UNKNOWN if ambiguous else Billing.NOT_CHARGED)
    assert error.advice


@pytest.mark.parametrize(("status", "message"), [(200, "no"), (409, "Conflict"), (200, "Not found")])
def test_an_unknown_refusal_of_a_submission_has_unknown_billing(status, message):
    assert error_from_response(status, message, call="movies.submit").billing is Billing.UNKNOWN
    assert error_from_response(status, message, call="templates.create").billing is Billing.NOT_CHARGED


@pytest.mark.parametrize(
    ("call", "status", "message", "advice"),
    [
        ("drive.upload", 403, "Storage is blocked. Add credits to continue uploading.", "Add credits"),
        ("drive.put", 403, "AccessDenied", "pending record"),
        ("movies.submit", 404, "Not Found", "host of the connection"),
        ("movies.submit", 401, "You exceeded the quota of drafts in your plan", "'draft'"),
        ("movies.submit", 413, "Request Too Long", "2 MB"),
        ("movies.submit", 414, "URI Too Long", "8 kB"),
        ("movies.get", 400, "Project ID must be a 16-character string. Received ID: 'x' (length: 1)", "16 characters"),
        ("movies.submit", 500, "x", "account's list"),
        ("templates.create", 403, "Insufficient permissions", "'editor'"),
    ],
)
def test_the_advice_depends_on_the_refusal(call, status, message, advice):
    assert advice in error_from_response(status, message, call=call).advice


def test_a_message_consists_of_sentences():
    error = error_from_response(400, LEAKED, call="movies.get", subject="Qk3vT9zLm2XcB7wA")
    assert str(error).startswith(
        "Render 'Qk3vT9zLm2XcB7wA' was not found in this account. JSON2Video answered HTTP 400 to the request for the "
        "status of render Qk3vT9zLm2XcB7wA: TypeError:"
    )
    assert "(reading 'success'). Check the project id" in str(error)
    assert error.project == "Qk3vT9zLm2XcB7wA"


EVERY_CLASS = [getattr(exceptions, name) for name in exceptions.__all__ if name[0].isupper() and name != "Billing"]


@pytest.mark.parametrize("cls", EVERY_CLASS)
def test_every_error_survives_pickling_and_to_dict(cls):
    error = cls(
        "what happened.",
        advice="do this.",
        service_message="words",
        http_status=400,
        project="Qk3vT9zLm2XcB7wA",
        path="scenes[0]",
        retryable=True,
        billing=Billing.CHARGED,
        retry_after=3.5,
    )
    for copy in (pickle.loads(pickle.dumps(error)), error_from_dict(error.to_dict())):
        assert type(copy) is cls
        assert copy.to_dict() == error.to_dict()
        assert str(copy) == "what happened. do this."


@pytest.mark.parametrize("cls", EVERY_CLASS)
def test_every_class_has_a_docstring_and_is_in_the_tree(cls):
    assert issubclass(cls, Json2VideoError)
    assert cls.__doc__
    assert cls.__name__ in (exceptions.__doc__ or "")


@pytest.mark.parametrize(
    "facts",
    [{}, {"error": "OfTheFuture", "message": "x"}, {"error": None, "billing": "a lot"}, {"message": None, "new": 1}],
)
def test_a_dict_of_another_version_becomes_an_error(facts):
    assert type(error_from_dict(facts)) is Json2VideoError
    assert str(error_from_dict(facts))


@pytest.mark.parametrize(
    ("message", "path", "retryable", "unavailable"),
    [
        (
            "Scene #1, element #1: Failed to download 'https://example.com/a.png' (404)",
            "scenes[0].elements[0]",
            True,
            True,
        ),
        ("Failed to download element: HTTP 404 at https://example.com/a", None, True, True),
        (
            "Error: Scene #1 Element #2: The element type 'video' requires a 'src' property.",
            "scenes[0].elements[1]",
            False,
            False,
        ),
        (
            "Source URL is required for video element in Scene #3, Element #2",
            "scenes[2].elements[1]",
            False,
            False,
        ),
        ("Source URL is required for video element in Scene #, Element #", None, False, False),
        ("Movie duration cannot be zero", None, False, False),
        (
            "The URL provided is not a video file and cannot be used as a source for a video element",
            None,
            False,
            False,
        ),
        ("Movie took too long to render", None, True, False),
        ("Width and Height required when resolution is custom", None, False, False),
        ("Scene #4: something", "scenes[3]", True, False),
        # Messages of the validator: all except the quota are errors of the document.
        (
            "Property 'zoom' is not an integer in movie/scenes[0]/elements[0]",
            "scenes[0].elements[0].zoom",
            False,
            False,
        ),
        (
            "Property 'vertical-align' is not allowed in movie/scenes[0]/elements[3]/settings",
            "scenes[0].elements[3].settings.vertical-align",
            False,
            False,
        ),
        (
            "Property 'text' is required in movie/scenes[12]/elements[4]",
            "scenes[12].elements[4].text",
            False,
            False,
        ),
        ("Property 'src' is required in movie/elements[2]", "elements[2].src", False, False),
        (
            "Object [movie/scenes[0]/elements[1]] does not match any of possible schemas: shape",
            "scenes[0].elements[1]",
            False,
            False,
        ),
        ("Not all elements have metadata", None, False, False),
        ("You exceeded the quota of time in your plan", None, False, False),
        ("", None, True, False),
        (None, None, True, False),
    ],
)
def test_a_failed_render_has_its_path_and_whether_it_is_retryable(message, path, retryable, unavailable):
    error = error_from_render(message, project="Qk3vT9zLm2XcB7wA")
    assert isinstance(error, RenderFailed)
    assert (error.path, error.retryable, error.source_unavailable) == (path, retryable, unavailable)
    assert error.billing is Billing.NOT_CHARGED
    assert "not charged" in str(error)
    assert (message or "gave no reason") in str(error)
    again = error_from_dict(error.to_dict())
    assert (again.path, again.retryable) == (path, retryable)


def test_every_refusal_is_an_api_error():
    assert all(issubclass(expected, ApiError) for _, _, _, expected in TABLE)


def test_the_scene_and_element_of_an_error_are_those_of_its_path():
    error = error_from_render("Scene #3, element #2: Failed to download 'x'", project="Qk3vT9zLm2XcB7wA")
    assert (error.path, error.scene, error.element) == ("scenes[2].elements[1]", 2, 1)
    error = error_from_render("Property 'x' is not allowed in movie/elements[5]", project="Qk3vT9zLm2XcB7wA")
    assert (error.path, error.scene, error.element) == ("elements[5].x", None, 5)


def test_the_advice_for_an_exceeded_quota_is_to_add_credits():
    error = error_from_render("You exceeded the quota of time in your plan", project="Qk3vT9zLm2XcB7wA")
    assert "Add credits" in error.advice
    assert "not charged" in error.advice


def test_an_unknown_template_is_named_once():
    error = error_from_response(404, "Template not found", call="movies.submit", subject="abc123def456ghi789jk")
    assert error.message == (
        "Template 'abc123def456ghi789jk' was not found in this account. JSON2Video answered HTTP 404."
    )


def test_a_report_has_short_lines_with_advice_and_billing():
    error = error_from_response(500, "no reason", call="movies.submit")
    assert error.format_report().splitlines() == [
        "The service failed.",
        "JSON2Video answered HTTP 500 to the submission: no reason.",
        "Whether a render was started is unknown until the account's list of renders has been read.",
        "It is unknown whether a render was started. If one was, it is billed.",
    ]
    long = Json2VideoError("It failed in 0.5 s. " + "word " * 100, advice="Try it. Or not.")
    assert max(map(len, long.format_report().splitlines())) <= 110
    assert long.format_report().splitlines()[-3:] == ["Try it.", "Or not.", "Nothing was charged."]


def test_billing_is_mentioned_once():
    assert Json2VideoError("No.", advice="Nothing was submitted.").format_report() == "No.\nNothing was submitted."


class Log:
    def __init__(self):
        self.lines = []

    def error(self, event, *args):
        self.lines.append(event % args)


def test_the_text_of_a_reported_error_is_its_headline():
    log, error = Log(), Json2VideoError("The account cannot pay. The service said so.", advice="Add credits.")
    reported = error.report(log)
    assert log.lines == ["The account cannot pay.\nThe service said so.\nAdd credits.\nNothing was charged."]
    assert str(reported) == "The account cannot pay. The service said so."
    assert reported.to_dict() == error.to_dict()
    assert str(error) == "The account cannot pay. The service said so. Add credits."


def test_context_is_added_to_a_copy():
    error = InvalidMovie("It is wrong.", findings=["a finding"], path="scenes[0]", http_status=400)
    try:
        raise error
    except InvalidMovie as raised:
        copy = raised.with_context(advice="Correct it.", retryable=True, billing=Billing.UNKNOWN)
    assert type(copy) is InvalidMovie
    assert copy.to_dict() == {
        **error.to_dict(),
        "advice": "Correct it.",
        "retryable": True,
        "billing": "unknown",
    }
    assert (copy.findings, copy.__traceback__) == (("a finding",), error.__traceback__)
    assert (error.advice, error.retryable, error.billing) == (InvalidMovie.advice, False, Billing.NOT_CHARGED)
    failed = RenderFailed("It failed.", source_unavailable=True, project="Qk3vT9zLm2XcB7wA")
    assert failed.with_context(project="other").to_dict() == {**failed.to_dict(), "project": "other"}


def test_find_error_returns_the_error_of_a_callbacks_context():
    error = error_from_render("Property 'zoom' is not an integer in movie/scenes[0]/elements[0]", project="P" * 16)
    final = RuntimeError("Airflow's own class")
    final.json2video_error = error
    assert find_error({"exception": final}) is error
    assert find_error({"exception": error}) is find_error(error) is error
    assert (error.code, error.path, error.project, error.billing.value) == (
        "RenderFailed",
        "scenes[0].elements[0].zoom",
        "P" * 16,
        "not_charged",
    )
    wrapped = ValueError("another")
    wrapped.__cause__ = error
    assert find_error(wrapped) is error
    assert find_error({"exception": ValueError("x")}) is find_error({"exception": "text"}) is find_error({}) is None


def test_no_module_assigns_to_an_attribute_of_an_error():
    package = Path(exceptions.__file__).parent
    attributes = set(vars(Json2VideoError("x"))) | {"advice", "billing", "findings", "retryable", "source_unavailable"}
    attributes -= {"path", "project"}  # other objects have these too
    found = []
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            targets = node.targets if isinstance(node, ast.Assign) else []
            targets = [part for each in targets for part in (each.elts if isinstance(each, ast.Tuple) else [each])]
            for target in targets:
                if isinstance(target, ast.Attribute) and target.attr in attributes:
                    is_self = isinstance(target.value, ast.Name) and target.value.id == "self"
                    found += [] if is_self else [f"{file.name}:{node.lineno}: {target.attr}"]
    assert not found, f"use error.with_context(...): {found}"
