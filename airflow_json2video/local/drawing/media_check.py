"""Checks by its first bytes and declared size that a file fits its element, before it is opened for drawing."""

from __future__ import annotations

import warnings
from functools import lru_cache
from pathlib import Path

from airflow_json2video.local.limits import LIMITS, Limits

__all__ = ["Unfit", "check", "kind_of"]

_IMAGE = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"II*\x00", b"MM\x00*")
_MEDIA = (
    b"\x1aE\xdf\xa3", b"ID3", b"OggS", b"fLaC", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3", b"\x30\x26\xb2\x75",
)  # fmt: skip
_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
_FITS = {"image": ("image", "gif"), "video": ("media", "gif"), "audio": ("media",), "mask": ("image", "gif", "media")}
_WRONG = {
    "mask": "The mask is not an image or a video",
    "html": "The URL provided is not a page and cannot be used as a source for an html element",
}
# Bytes that are not in a text: control characters except tab, line and page breaks, and escape.
_BINARY = frozenset(range(32)) - frozenset(b"\t\n\r\f\x1b")


class Unfit(Exception):
    """The file cannot be used; the message is the service's, without the path."""


def check(path: Path, kind: str, *, limits: Limits = LIMITS) -> None:
    """Check that a file can be the source of an ``image``, ``video``, ``audio`` or ``html`` element, or a ``mask``.

    Playlists, scripts and pages do not have the signature of a media file, so they are refused whatever their name.

    :raises Unfit: another kind of file, a damaged one, or one that exceeds the limits.
    """
    try:
        facts = path.stat()
    except OSError as error:
        raise Unfit(str(error)) from None
    if problem := _problem(path, facts.st_mtime_ns, facts.st_size, kind, limits):
        raise Unfit(problem)


def kind_of(head: bytes) -> str | None:
    """Return ``image``, ``gif`` (also a clip) or ``media``, by the first 400 bytes; None: another kind."""
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if head.startswith(_IMAGE):
        return "image"
    if head.startswith(b"RIFF"):
        return {b"WEBP": "image", b"AVI ": "media", b"WAVE": "media"}.get(head[8:12])
    if head.startswith(_MEDIA) or head[4:8] in _BOXES:
        return "media"
    # The frame header of MPEG audio and of AAC; the packets of a transport stream.
    if head[:1] == b"\xff" and head[1:2] >= b"\xe0":
        return "media"
    return "media" if head[:1] == b"G" and head[188:189] == b"G" else None


@lru_cache(maxsize=4096)
def _problem(path: Path, changed: int, size: int, kind: str, limits: Limits) -> str | None:  # noqa: ARG001 - a key
    usual = f"The URL provided is not a {kind} file and cannot be used as a source for a {kind} element"
    wrong = _WRONG.get(kind, usual)
    with path.open("rb") as file:
        head = file.read(400)
    if kind == "html":
        return None if _is_text(head) else wrong
    found = kind_of(head)
    if found not in _FITS[kind]:
        return wrong
    if found == "media":
        return _of_clip(path, kind, limits)
    sides = _declared_size(head) or _image_size(path)
    return _too_large("image", *sides, limits.image_pixels) if sides and all(sides) else wrong


def _declared_size(head: bytes) -> tuple[int, int] | None:
    """Read the declared size of a GIF, PNG or animated WebP: some decoders allocate memory for it immediately."""
    if head.startswith(b"GIF"):
        return int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")
    if head.startswith(b"\x89PNG") and head[12:16] == b"IHDR":
        return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    if head[12:16] == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    return None


def _image_size(path: Path) -> tuple[int, int] | None:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=("PNG", "JPEG", "BMP", "TIFF", "WEBP")) as picture:
                return (picture.width, picture.height)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _is_text(head: bytes) -> bool:
    """Return whether a file can be a page: a text in any encoding, not a picture, sound, archive or PDF."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16, by its byte order mark
        return True
    return not head.startswith(b"%PDF-") and _BINARY.isdisjoint(head)


def _of_clip(path: Path, kind: str, limits: Limits) -> str | None:
    from airflow_json2video.local.drawing.clips import NotMedia, picture_sizes

    try:
        sizes = picture_sizes(path)
    except NotMedia:
        sizes = []
    # A source without pictures is detected when it is measured; a mask is not measured.
    if kind == "mask" and not sizes:
        return _WRONG["mask"]
    return next((p for w, h in sizes if (p := _too_large("video", w, h, limits.clip_pixels))), None)


def _too_large(what: str, width: int, height: int, most: int) -> str | None:
    if width * height <= most:
        return None
    return f"The {what} is {width}x{height} pixels; at most {most:,} pixels are drawn"
