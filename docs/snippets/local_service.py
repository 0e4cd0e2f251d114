"""A render of ten minutes, in no time."""

import json
import os

from airflow_json2video.hooks.json2video import Json2VideoHook
from airflow_json2video.local import LocalService

with LocalService(mode="instant", render_seconds=600) as service:
    connection = {"conn_type": "json2video", "host": service.host, "password": "any key"}
    os.environ["AIRFLOW_CONN_JSON2VIDEO_DEFAULT"] = json.dumps(connection)
    hook = Json2VideoHook()
    project = hook.submit_movie({"scenes": [{"duration": 2}]}).project
    assert service.wait_idle()
    assert hook.get_movie(project).movie.status == "running"

    service.clock.advance(600)  # ten minutes, immediately
    assert hook.get_movie(project).movie.status == "done"
    assert service.posts == 1
    assert service.credits_left == 598

    service.clock.advance(7 * 86400)
    assert hook.get_movie(project).movie.url is None  # the file has expired
