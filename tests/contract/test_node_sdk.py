"""The vendor's published SDK for Node against the local service; only the address is changed.

It speaks TLS on port 443 whatever its address says, so what it hands to Node's ``https`` is handed on to ``http``
and to the service's port, and its polls every 5 s come every 100 ms. Its own code is unchanged.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

PACKAGE = "json2video-sdk@2.0.0"

REDIRECT = """
const http = require("http");
const target = new URL(process.env.SERVICE);
require("https").request = (options, answered) =>
    http.request({...options, hostname: target.hostname, port: target.port}, answered);
const waits = global.setInterval;
global.setInterval = (poll, wait) => waits(poll, wait / 50);
"""

SCRIPT = """
const {Movie, Scene} = require("json2video-sdk");
(async () => {
    const movie = new Movie();
    movie.api_url = process.env.SERVICE + "/movies";
    movie.setAPIKey(process.env.KEY);
    movie.set("resolution", "sd");
    const scene = new Scene();
    scene.set("duration", 2);
    scene.set("background_color", "#4392F1");
    scene.addElement({type: "text", text: "Hello"});
    movie.addScene(scene);
    const started = await movie.render();
    if (!started.success) return console.log(JSON.stringify({started}));
    const first = await movie.getStatus();
    const finished = await movie.waitToFinish();
    console.log(JSON.stringify({started, first, finished}));
    process.exit(0);
})();
"""


@pytest.fixture(scope="module")
def sdk(tmp_path_factory):
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm or subprocess.run([node, "--version"], capture_output=True).returncode:
        pytest.skip("node and npm are not here")
    folder = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text("{}")
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock", PACKAGE]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    if ran.returncode and any(code in ran.stderr for code in ("ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT", "EAI_AGAIN")):
        pytest.skip("the npm registry cannot be reached")
    assert ran.returncode == 0, ran.stderr
    (folder / "redirect.js").write_text(REDIRECT)
    (folder / "script.js").write_text(SCRIPT)

    def run(service, key="a-key"):
        ran = subprocess.run(
            [node, "-r", "./redirect.js", "script.js"], cwd=folder, capture_output=True, text=True, timeout=30,
            env={**os.environ, "SERVICE": service.host, "KEY": key},
        )  # fmt: skip
        assert ran.stdout.strip(), ran.stderr
        return json.loads(ran.stdout.strip().splitlines()[-1])

    return run


def test_it_builds_submits_waits_and_finds_the_video(service, sdk):
    result = sdk(service)
    assert set(result["started"]) == {"success", "project", "timestamp"}
    assert result["first"]["movie"]["project"] == result["started"]["project"]
    movie = result["finished"]["movie"]
    assert (movie["status"], movie["duration"], movie["width"]) == ("done", 2, 640)
    assert service.submitted[0]["scenes"][0]["elements"] == [{"type": "text", "text": "Hello"}]
    assert service.posts == 1


def test_an_invalid_key_reaches_it_with_the_services_text(service, sdk):
    assert sdk(service, key="invalid")["started"]["message"] == "Error: Invalid API Key"
