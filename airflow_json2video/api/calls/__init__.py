"""Every endpoint of the API as data: what to send, whether a retry is safe, and how the response is parsed.

Both clients execute these calls, and a test can read them without a socket. The functions check their arguments and
raise :class:`~airflow_json2video.exceptions.ConfigurationError` before anything is sent.

Whether a retry is safe follows the API reference. A call that creates something is not repeated (POST /movies, creating
and duplicating templates, the two steps of an upload). Neither is a call that is answered with "not found" the second
time, since that would turn a success into an error.
"""

from __future__ import annotations

from airflow_json2video.api.calls.call import Call
from airflow_json2video.api.calls.drive import (
    MAX_FILE_SIZE,
    create_folder,
    delete_file,
    delete_folder,
    get_file,
    get_folder,
    get_storage,
    list_folders,
    move_file,
    put_file,
    start_upload,
)
from airflow_json2video.api.calls.movies import (
    MAX_LIST_RANGE,
    MAX_PAGE_SIZE,
    delete_movie,
    get_movie,
    list_movies,
    submit_movie,
)
from airflow_json2video.api.calls.templates import (
    create_template,
    delete_template,
    duplicate_template,
    get_template,
    get_template_variables,
    list_library,
    list_templates,
    update_template,
)
from airflow_json2video.api.validation import check_project, check_template_id

__all__ = [
    "MAX_FILE_SIZE",
    "MAX_LIST_RANGE",
    "MAX_PAGE_SIZE",
    "Call",
    "check_project",
    "check_template_id",
    "create_folder",
    "create_template",
    "delete_file",
    "delete_folder",
    "delete_movie",
    "delete_template",
    "duplicate_template",
    "get_file",
    "get_folder",
    "get_movie",
    "get_storage",
    "get_template",
    "get_template_variables",
    "list_folders",
    "list_library",
    "list_movies",
    "list_templates",
    "move_file",
    "put_file",
    "start_upload",
    "submit_movie",
    "update_template",
]
