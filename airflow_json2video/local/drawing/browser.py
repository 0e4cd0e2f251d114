"""A headless Chromium that draws one page as a still.

A page may run script, so it gets nothing: no network (names do not resolve, and the proxy is dead), no file of this
machine, a profile folder of its own that goes with it, a time limit. It stands in a sandboxed frame of a page of ours,
whose policy lets the frame load only what it brought with it and go nowhere else: without that, a page from a file
could show other files.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import html
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

__all__ = ["Browser", "BrowserFault", "Page"]

_PROGRAMS = (
    "chromium-headless-shell", "chrome-headless-shell", "chromium", "chromium-browser", "google-chrome",
    "google-chrome-stable", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)  # fmt: skip
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' data: blob:; style-src 'unsafe-inline' data:; "
    "img-src data: blob:; font-src data:; media-src data: blob:; frame-src 'none'"
)
_SWITCHES = (
    "--headless", "--hide-scrollbars", "--mute-audio", "--disable-gpu", "--no-first-run", "--no-default-browser-check",
    "--disable-extensions", "--disable-sync", "--disable-background-networking", "--disable-component-update",
    "--disable-breakpad", "--disable-dev-shm-usage", "--default-background-color=00000000",
    "--force-color-profile=srgb", "--font-render-hinting=none", "--lang=en-US",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=http://127.0.0.1:9", "--proxy-bypass-list=<-loopback>",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    # The page's clock (--virtual-time-budget) rules one process only. A Chromium that gives a sandboxed frame a process
    # of its own takes the picture before the page's timers. The frame's sandbox and the policy hold in one process too.
    "--disable-features=IsolateSandboxedIframes",
)  # fmt: skip
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


class BrowserFault(Exception):
    """The browser gave no picture; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """What is drawn, and how: CSS pixels, seconds."""

    source: str
    width: int
    height: int
    dpi: float = 1.0
    wait: float = 2.0
    """Before the picture is taken, by the page's own clock."""
    trim: bool = False
    """Cut off what is empty around it: a page without a size of its own is placed by what is seen of it."""

    @property
    def name(self) -> str:
        """A file name that is the same for the same picture."""
        return f"html-{hashlib.sha256(repr(self).encode()).hexdigest()[:32]}.png"


@dataclass(frozen=True, kw_only=True)
class Browser:
    """A Chromium of this machine.

    :param timeout: real seconds for one page; then it is ended, with all that it started.
    """

    program: str
    timeout: float = 20.0

    @staticmethod
    def find(which: Callable[[str], str | None] = shutil.which) -> Browser | None:
        """Give the first Chromium or Chrome that is installed, or None."""
        found = next((path for name in _PROGRAMS if (path := which(name))), None)
        return Browser(program=found) if found else None

    def draw(self, page: Page, target: Path) -> None:
        """Write the picture of *page* to *target*, a PNG with transparency, whole or not at all.

        :raises BrowserFault: no picture came.
        """
        with tempfile.TemporaryDirectory(prefix="json2video-html-", ignore_cleanup_errors=True) as scratch:
            folder = Path(scratch)
            (folder / "page.html").write_text(_wrapped(page), encoding="utf-8")
            sprite = folder / "sprite.png"
            self._run(page, folder, sprite)
            try:
                with Image.open(sprite, formats=("PNG",)) as taken:
                    picture = taken.convert("RGBA")
            except (OSError, SyntaxError):
                raise BrowserFault(f"{Path(self.program).name} took no picture: {_last_line(folder)}") from None
        picture = picture.crop((0, 0, round(page.width * page.dpi), round(page.height * page.dpi)))
        picture = picture.resize((page.width, page.height), Image.Resampling.LANCZOS)
        if page.trim and (seen := picture.getbbox()):
            picture = picture.crop(seen)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".part")
        picture.save(partial, format="PNG", compress_level=1)
        partial.replace(target)

    def _run(self, page: Page, folder: Path, sprite: Path) -> None:
        command = [
            self.program,
            *_SWITCHES,
            # Its own sandbox does not work for root; ours, made of the policy and the frame, does.
            *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
            f"--user-data-dir={folder / 'profile'}",
            f"--screenshot={sprite}",
            # A window is not let be as small as some elements, and some versions count their frame in.
            f"--window-size={max(page.width, 500)},{page.height + 200}",
            f"--force-device-scale-factor={page.dpi:g}",
            f"--virtual-time-budget={max(1, round(page.wait * 1000))}",
            (folder / "page.html").as_uri(),
        ]
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "LANG": "C.UTF-8", "TZ": "UTC"}
        with (folder / "log.txt").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - a fixed program, our own switches and file, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env=environment,
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )
        try:
            process.wait(timeout=self.timeout)
        except subprocess.TimeoutExpired:
            raise BrowserFault(f"the page took longer than {self.timeout:g} s") from None
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wrapped(page: Page) -> str:
    """Put the page into a frame that may run its own script and reach nothing."""
    inner = page.source
    if "<html" not in inner[:2000].lower():
        inner = f'<!doctype html><meta charset="utf-8"><style>body{{margin:0}}</style>{inner}'
    return (
        '<!doctype html><html><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        "<style>html,body{margin:0;background:transparent}iframe{position:absolute;left:0;top:0;border:0;"
        f"width:{page.width}px;height:{page.height}px}}</style></head><body>"
        f'<iframe sandbox="allow-scripts" srcdoc="{html.escape(inner, quote=True)}"></iframe></body></html>'
    )


_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    """Ask the kernel to end the browser when the worker ends: it has a session of its own and would outlive it."""
    if _LIBC is not None:
        _LIBC.prctl(_DEATH_SIGNAL, signal.SIGKILL)


def _last_line(folder: Path) -> str:
    lines = (folder / "log.txt").read_text(errors="replace").strip().splitlines()
    return lines[-1][-200:] if lines else "it said nothing"
