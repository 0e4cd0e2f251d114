"""From the ``src`` of an element to a file: local stand-ins first, then the network, if it may be asked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from airflow_json2video.local.drive import FILES, stored_name

__all__ = ["AssetFault", "Assets"]


class AssetFault(Exception):
    """An asset cannot be had; the text is what the service would say after the place."""


@dataclass(frozen=True, kw_only=True)
class Assets:
    """Turns the ``src`` of an element into a file.

    :param cache: folder for what is fetched; of one render.
    :param origin: the service's own address; its ``/assets/`` are read from *folder*.
    :param folder: local files that stand for remote ones, also as ``<host>/<path>``.
    :param drive: the bytes of the drive's files, whose addresses on this service are read from there.
    :param fetch: False: nothing is fetched.
    """

    cache: Path
    origin: str = ""
    folder: Path | None = None
    drive: Path | None = None
    fetch: bool = True
    allow_private: bool = False
    max_bytes: int = 200 * 1024 * 1024
    timeout: float = 30.0

    def file(self, url: Any) -> Path:
        """Give the file of an address.

        :raises AssetFault: it cannot be had, in the words of the service.
        """
        if not isinstance(url, str):
            raise AssetFault(f"Failed to download '{url}'")
        parts = urlsplit(url.strip())
        if parts.path.startswith(FILES) and self.origin and _port(parts.netloc) == _port(urlsplit(self.origin).netloc):
            return self._of_drive(url, unquote(parts.path[len(FILES) :]))
        if local := self._local(url.strip(), parts.hostname, parts.path):
            return local
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise AssetFault(f"Failed to download '{url}' (only http and https addresses are fetched)")
        if self.folder is not None and self.origin and url.startswith(f"{self.origin}/assets/"):
            raise AssetFault(f"Failed to download '{url}' (404)")
        target = self.cache / hashlib.sha256(url.encode()).hexdigest()[:32]
        if not target.exists():
            if not self.fetch:
                raise AssetFault(f"Failed to download '{url}' (fetching is switched off)")
            from airflow_json2video.local.drawing.download import Download, DownloadFault

            self.cache.mkdir(parents=True, exist_ok=True)
            try:
                Download(allow_private=self.allow_private, max_bytes=self.max_bytes, timeout=self.timeout).save(
                    url, target
                )
            except DownloadFault as fault:
                raise AssetFault(f"Failed to download '{url}' ({fault})") from None
        return target

    def _of_drive(self, url: str, path: str) -> Path:
        found = self.drive / stored_name(path) if self.drive is not None else None
        if found is None or not found.is_file():
            raise AssetFault(f"Failed to download '{url}' (404)")
        return found

    def _local(self, url: str, host: str | None, path: str) -> Path | None:
        if self.folder is None or not host:
            return None
        root = self.folder.resolve()
        names = [f"{host}/{unquote(path).lstrip('/')}"]
        if self.origin and url.startswith(f"{self.origin}/assets/"):
            names = [unquote(urlsplit(url[len(self.origin) :]).path)[len("/assets/") :]]
        for name in names:
            found = (root / name).resolve()
            if found.is_relative_to(root) and found.is_file():
                return found
        return None


def _port(netloc: str) -> str:
    """Give the port as it is written: this service may be reached by several names."""
    return netloc.rpartition(":")[2]
