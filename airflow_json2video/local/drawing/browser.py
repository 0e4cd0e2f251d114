"""A headless Chromium that draws one page as a still.

A page can run scripts, so it is isolated: no network (names do not resolve, and the proxy does not exist), no files of
this machine, a temporary profile folder, and a time limit. It is in a sandboxed frame of an outer page, whose policy
lets the frame load only what it contains and navigate nowhere: without that, a page from a file could show other files.
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
    # The page's clock (--virtual-time-budget) applies to one process only. A Chromium with a process for the frame
    # draws the picture before the page's timers. The frame's sandbox and the policy also work in one process.
    "--disable-features=IsolateSandboxedIframes",
)  # fmt: skip
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


class BrowserFault(Exception):
    """The browser drew no picture; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page to draw. Sizes are CSS pixels, times are seconds."""

    source: str
    width: int
    height: int
    dpi: float = 1.0
    wait: float = 2.0
    """Wait before the picture is drawn, on the page's own clock."""
    trim: bool = False
    """Crop empty margins: a page without a size is placed by its visible part."""

    @property
    def name(self) -> str:
        """A file name that depends only on the picture."""
        return f"html-{hashlib.sha256(repr(self).encode()).hexdigest()[:32]}.png"


@dataclass(frozen=True, kw_only=True)
class Browser:
    """An installed Chromium.

    :param timeout: real seconds for one page; then the browser and its children are killed.
    """

    program: str
    timeout: float = 20.0

    @staticmethod
    def find(which: Callable[[str], str | None] = shutil.which) -> Browser | None:
        """Return the first installed Chromium or Chrome, or None."""
        found = next((path for name in _PROGRAMS if (path := which(name))), None)
        return Browser(program=found) if found else None

    def draw(self, page: Page, target: Path) -> None:
        """Write the picture of *page* to *target* atomically, as a PNG with transparency.

        :raises BrowserFault: no picture was drawn.
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
                raise BrowserFault(f"{Path(self.program).name} drew no picture: {_last_line(folder)}") from None
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
            # Chromium's sandbox does not work for root; the policy and the sandboxed frame do.
            *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
            f"--user-data-dir={folder / 'profile'}",
            f"--screenshot={sprite}",
            # A window cannot be as small as some elements, and some versions include the window frame in its size.
            f"--window-size={max(page.width, 500)},{page.height + 200}",
            f"--force-device-scale-factor={page.dpi:g}",
            f"--virtual-time-budget={max(1, round(page.wait * 1000))}",
            (folder / "page.html").as_uri(),
        ]
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "LANG": "C.UTF-8", "TZ": "UTC"}
        with (folder / "log.txt").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - a fixed program with our own switches and file, without a shell
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
    """Return a page that isolates *page* in a sandboxed frame."""
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
    """Let the kernel kill the browser when the worker ends; in its own session it would outlive the worker."""
    if _LIBC is not None:
        _LIBC.prctl(_DEATH_SIGNAL, signal.SIGKILL)


def _last_line(folder: Path) -> str:
    lines = (folder / "log.txt").read_text(errors="replace").strip().splitlines()
    return lines[-1][-200:] if lines else "no output"
