"""Read the duration of an MP4 from the file itself: enough to detect an incomplete video.

Boxes are read as ISO/IEC 14496-12 describes them. Only their headers are read, so a large file costs a few reads.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

__all__ = ["InvalidMp4", "read_duration"]

_MAX_BOXES = 10_000


class InvalidMp4(ValueError):
    """The file is not an MP4, or is incomplete; the message says what is missing."""


def read_duration(file: BinaryIO, size: int) -> float | None:
    """Return the duration in seconds that the file states; None for a fragmented file without one.

    :param file: opened for reading bytes, able to seek. :param size: its length in bytes.
    :raises InvalidMp4: it does not begin with ``ftyp``, a box exceeds its end, or it lacks ``moov`` or ``mdat``.
    """
    found: dict[bytes, tuple[int, int]] = {}
    for kind, start, end in _boxes(file, 0, size):
        if not found and kind != b"ftyp":
            raise InvalidMp4("it does not begin like an MP4 ('ftyp' is missing)")
        found.setdefault(kind, (start, end))
    for kind in (b"moov", b"mdat"):
        if kind not in found:
            raise InvalidMp4(f"it is not a complete MP4 ({kind.decode()!r} is missing)")
    heads = {kind: (start, end) for kind, start, end in _boxes(file, *found[b"moov"])}
    if b"mvhd" not in heads:
        raise InvalidMp4("its duration cannot be read ('mvhd' is missing)")
    return _seconds(file, heads[b"mvhd"][0])


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of the content of each box between two offsets."""
    for _ in range(_MAX_BOXES):
        if start == end:
            return
        file.seek(start)
        head = file.read(16)
        if len(head) < 8 or start + 8 > end:
            raise InvalidMp4("it ends within the header of a box")
        length, kind = struct.unpack(">I4s", head[:8])
        content = start + 8
        if length == 1 and len(head) == 16:
            length, content = struct.unpack(">Q", head[8:])[0], start + 16
        elif length == 0:  # to the end of the file
            length = end - start
        if length < content - start or start + length > end:
            raise InvalidMp4(f"it ends within {kind.decode('latin-1')!r}, at {end} of {start + length} bytes")
        yield kind, content, start + length
        start += length
    raise InvalidMp4("it has too many boxes")


def _seconds(file: BinaryIO, start: int) -> float | None:
    file.seek(start)
    head = file.read(32)
    try:
        if head[0] == 1:
            scale, length = struct.unpack(">IQ", head[20:32])
            unknown = 2**64 - 1
        else:
            scale, length = struct.unpack(">II", head[12:20])
            unknown = 2**32 - 1
    except (struct.error, IndexError):
        raise InvalidMp4("its 'mvhd' is truncated") from None
    return None if not scale or length in (0, unknown) else length / scale
