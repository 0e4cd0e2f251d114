"""A real Chromium without a window, steered over its own protocol. Without one these tests are skipped."""

from __future__ import annotations

import asyncio
import base64
import itertools
import shutil
import subprocess
import time

import aiohttp
import pytest

from airflow_json2video.local import LocalService

NAMES = ("chromium", "chromium-browser", "google-chrome", "chromium-headless-shell")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)


class Tab:
    """One page. ``problems`` are the errors in its console, including violations of its policy."""

    def __init__(self, socket):
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers = {}
        self.problems = []
        self.requested_urls = []

    async def listen(self):
        async for message in self._socket:
            event = message.json()
            if "id" in event:
                self._answers.pop(event["id"]).set_result(event)
            elif event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] in ("warning", "error"):
                self.problems.append(event["params"]["entry"]["text"])
            elif event["method"] == "Runtime.exceptionThrown":
                self.problems.append(event["params"]["exceptionDetails"]["text"])
            elif event["method"] == "Network.requestWillBeSent":
                self.requested_urls.append(event["params"]["request"]["url"])

    async def call(self, method, **params):
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        reply = await asyncio.wait_for(answer, 20)
        assert "error" not in reply, reply
        return reply["result"]

    async def js(self, expression):
        reply = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in reply, reply
        return reply["result"].get("value")

    async def until(self, expression, seconds=15):
        """Wait until an expression is true, and return its value."""
        ends = time.monotonic() + seconds
        while not (value := await self.js(expression)):
            assert time.monotonic() < ends, f"never true: {expression}"
            await asyncio.sleep(0.05)
        return value

    async def open(self, address):
        await self.call("Page.navigate", url=address)
        await self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    async def size(self, width, height, *, dark=False):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        await self.call("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def picture(self, path):
        """Save a screenshot."""
        path.write_bytes(base64.b64decode((await self.call("Page.captureScreenshot"))["data"]))


@pytest.fixture
async def tab(tmp_path):
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    profile = tmp_path / "profile"
    options = [
        "--headless",
        "--autoplay-policy=no-user-gesture-required",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-dev-shm-usage",
    ]
    process = subprocess.Popen(  # noqa: ASYNC220 - it starts without blocking
        [CHROMIUM, *options, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    listening = None
    try:
        ends = time.monotonic() + 30
        while not ((port_file := profile / "DevToolsActivePort").exists() and port_file.read_text().strip()):
            assert process.poll() is None, "Chromium ended"
            assert time.monotonic() < ends, "Chromium does not start"
            await asyncio.sleep(0.05)
        port = port_file.read_text().split()[0]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                (target,) = [one for one in await answer.json() if one["type"] == "page"]
            async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                tab = Tab(socket)
                listening = asyncio.create_task(tab.listen())
                for domain in ("Page", "Runtime", "Log", "Network"):
                    await tab.call(f"{domain}.enable")
                yield tab
    finally:
        if listening is not None:
            listening.cancel()
        process.terminate()
        process.wait(20)


@pytest.fixture
def service(tmp_path):
    with LocalService(mode="preview", home=tmp_path / "home") as service:
        yield service
