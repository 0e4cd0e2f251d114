"""Finds the file of an element's ``src``: local replacements first, then the network, if allowed."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from airflow_json2video.local.drawing.media_check import Unfit, check
from airflow_json2video.local.drive import FILES, stored_name
from airflow_json2video.local.limits import LIMITS, Limits
from airflow_json2video.local.safe_paths import inside

__all__ = ["AssetFault", "Assets"]

_PASSWORD = re.compile(r"(?<=//)[^/@]*@")


class AssetFault(Exception):
    """A media file is missing or unusable; the message is the service's, without the path.

    :param is_missing: it does not exist, as opposed to being unusable.
    """

    def __init__(self, message: str, *, is_missing: bool = True) -> None:
        super().__init__(message)
        self.is_missing = is_missing


@dataclass(frozen=True, kw_only=True)
class Assets:
    """Turns the ``src`` of an element into a file.

    :param cache: folder for the downloads of one render.
    :param origin: the service's own address; its ``/assets/`` are read from *folder*.
    :param folder: local files that replace remote ones, also as ``<host>/<path>``.
    :param drive: folder of the drive's files; their addresses on this service are read from there.
    :param fetch: False: download nothing.
    """

    cache: Path
    origin: str = ""
    folder: Path | None = None
    drive: Path | None = None
    fetch: bool = True
    allow_private: bool = False
    limits: Limits = LIMITS

    def file(self, url: Any, *, kind: str | None = None) -> Path:
        """Return the file of an address.

        :param kind: ``image``, ``video``, ``audio``, ``mask`` or ``html``, checked by the first bytes of the file.
        :raises AssetFault: the file is missing or unusable.
        """
        path = self._found(url)
        if kind is not None:
            try:
                check(path, kind, limits=self.limits)
            except Unfit as unfit:
                raise AssetFault(str(unfit), is_missing=False) from None
        return path

    def _found(self, url: Any) -> Path:
        if not isinstance(url, str):
            raise AssetFault(f"Failed to download '{url}'")
        url = url.strip()
        shown = _PASSWORD.sub("***@", url)
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:  # an incomplete IPv6 address
            raise AssetFault(f"Failed to download '{shown}' ({error})") from None
        if parts.path.startswith(FILES) and self.origin and port == urlsplit(self.origin).port:
            return self._of_drive(shown, unquote(parts.path[len(FILES) :]))
        if local := self._local(url, host, parts.path):
            return local
        if parts.scheme not in ("http", "https") or not host:
            raise AssetFault(f"Failed to download '{shown}' (only http and https addresses are downloaded)")
        if self.folder is not None and self.origin and url.startswith(f"{self.origin}/assets/"):
            raise AssetFault(f"Failed to download '{shown}' (404)")
        target = self.cache / hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        if not target.exists():
            if not self.fetch:
                raise AssetFault(f"Failed to download '{shown}' (downloads are disabled)")
            self._fetch(url, target, shown)
        return target

    def _of_drive(self, shown: str, path: str) -> Path:
        found = self.drive / stored_name(path) if self.drive is not None else None
        if found is None or not found.is_file():
            raise AssetFault(f"Failed to download '{shown}' (404)")
        return found

    def _fetch(self, url: str, target: Path, shown: str) -> None:
        from airflow_json2video.local.drawing.download import Download, DownloadFault

        self.cache.mkdir(parents=True, exist_ok=True)
        limits = self.limits
        room = limits.job_bytes - sum(file.stat().st_size for file in self.cache.iterdir())
        download = Download(
            allow_private=self.allow_private,
            max_bytes=min(limits.asset_bytes, max(0, room)),
            timeout=limits.download_seconds,
            max_redirects=limits.redirects,
        )
        try:
            download.save(url, target)
        except DownloadFault as fault:
            reason = str(fault)
            if room < limits.asset_bytes and "larger than" in reason:
                reason = f"the files of this render exceed {limits.job_bytes} bytes in total"
            raise AssetFault(f"Failed to download '{shown}' ({reason})") from None

    def _local(self, url: str, host: str | None, path: str) -> Path | None:
        if self.folder is None or not host:
            return None
        name = f"{host}/{unquote(path).lstrip('/')}"
        if self.origin and url.startswith(f"{self.origin}/assets/"):
            name = unquote(urlsplit(url[len(self.origin) :]).path)[len("/assets/") :]
        found = inside(self.folder, name)
        return found if found is not None and found.is_file() else None
