"""The ``html`` element: a still drawn by an installed browser, if that is enabled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_json2video.local.drawing.assets import AssetFault, Assets
from airflow_json2video.local.drawing.browser import Browser, BrowserFault, Page
from airflow_json2video.local.planning.evaluation import text_of
from airflow_json2video.local.planning.plan import number
from airflow_json2video.local.planning.resolve import MovieFault

if TYPE_CHECKING:
    from airflow_json2video.local.planning.timeline import Layer

__all__ = ["HtmlStills", "page_of"]

MAX_SIDE = 3840
MAX_PIXELS = 40_000_000
MAX_WAIT = 10.0
WAIT = 2.0
"""Seconds before the picture is drawn; the service's default is unknown."""
MAX_SOURCE = 2_000_000
_NO_BROWSER = "no Chromium is installed (chromium, chromium-headless-shell, google-chrome)"


@dataclass(kw_only=True)
class HtmlStills:
    """Draws the ``html`` elements of one movie; identical pages are drawn once.

    :param enabled: False: nothing is drawn, since HTML can run scripts.
    :param warn: called for everything that is drawn differently.
    :param canvas: the movie's frame, which is the size of an element without one.
    """

    assets: Assets
    enabled: bool
    warn: Callable[[str], None]
    canvas: tuple[int, int] = (640, 360)
    search: Callable[[], Browser | None] = Browser.find
    _failed: dict[str, str] = field(default_factory=dict)

    def find(self, layer: Layer) -> Path | None:
        """Return the picture of an element, or None if a placeholder must be drawn.

        :raises MovieFault: its ``src`` is missing or unusable.
        """
        if not self.enabled:
            self._warn_of_placeholder(layer, "HTML is drawn only if it is enabled (setting html, --html)")
            return None
        browser = self.search()
        if browser is None:
            self._warn_of_placeholder(layer, _NO_BROWSER)
            return None
        source = self._source(layer)
        if source is None:
            return None
        page = page_of(layer.element, source, canvas=self.canvas)
        target = self.assets.cache / page.name
        if page.name not in self._failed and not target.exists():
            try:
                browser.draw(page, target)
            except (BrowserFault, OSError) as fault:
                self._failed[page.name] = str(fault)
        if page.name in self._failed:
            self._warn_of_placeholder(layer, f"the browser failed: {self._failed[page.name]}")
            return None
        self._warn_of_limits(layer)
        return target

    def _warn_of_placeholder(self, layer: Layer, why: str) -> None:
        self.warn(f"{layer.where}: {why}")

    def _warn_of_limits(self, layer: Layer) -> None:
        self.warn(f"{layer.where}: this html is drawn as a still, without animation and without network access")
        if any(layer.element.get(name) is True for name in ("tailwindcss", "tailwind")):
            self.warn(f"{layer.where}: Tailwind is ignored, because it requires the network")

    def _source(self, layer: Layer) -> str | None:
        written = layer.element.get("html")
        if written not in (None, ""):
            return text_of(written)
        try:
            path = self.assets.file(layer.element.get("src"), kind="html")
        except AssetFault as fault:
            if self.assets.fetch or not fault.is_missing:
                raise MovieFault(f"{layer.where}: {fault}") from None
            self.warn(f"{layer.where}: {fault}")
            return None
        with path.open("rb") as file:
            page = file.read(MAX_SOURCE + 1)
        if len(page) > MAX_SOURCE:
            self.warn(f"{layer.where}: the page is longer than {MAX_SOURCE:,} bytes; the rest is ignored")
        marked = page.startswith((b"\xff\xfe", b"\xfe\xff"))
        return page[:MAX_SOURCE].decode("utf-16" if marked else "utf-8-sig", errors="replace")


def page_of(element: Mapping[str, Any], source: str, *, canvas: tuple[int, int]) -> Page:
    """Parse size, ``dpi`` and ``wait`` of an ``html`` element; -1 is the size of the canvas.

    A page without a size at a preset position is cropped to its visible part, as in the service's tutorial on HTML
    elements.
    """
    width, height = (number(element.get(side), -1) for side in ("width", "height"))
    size = [min(MAX_SIDE, int(n)) if n >= 1 else c for n, c in zip((width, height), canvas, strict=True)]
    dpi = max(0.25, min(4.0, number(element.get("dpi"), 1)))
    while size[0] * size[1] * dpi * dpi > MAX_PIXELS:
        dpi /= 2
    wait = max(0.0, min(MAX_WAIT, number(element.get("wait"), WAIT)))
    placed = str(element.get("position") or "custom") != "custom"
    trim = placed and width < 1 and height < 1 and not element.get("resize")
    return Page(source=source, width=size[0], height=size[1], dpi=dpi, wait=wait, trim=trim)
