"""An MP4 of plain colors, written without any codec library.

H.264 can encode a picture of one color in a byte per block, and an identical next picture in a
few bytes, so a video of the right size, frame rate and length costs milliseconds and needs no PyAV.
Baseline profile, one IDR picture per run of color, skipped P pictures after it (ITU-T H.264, 7.3; the
container as in ISO/IEC 14496-12 and -15).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

__all__ = ["Run", "write_solid_mp4"]

RGB = tuple[int, int, int]

# One macroblock: I_16x16, DC prediction, no residual: mb_type 3, chroma DC, qp_delta 0, no coefficients.
_SAME = "00100111"
# Next to an I_PCM block the empty coefficient token has six bits (its neighbor counts as 16).
_SAME_BY_PCM = "0010011000011"


@dataclass(frozen=True)
class Run:
    """*frames* pictures of one color."""

    frames: int
    color: RGB


def _ue(value: int) -> str:
    code = f"{value + 1:b}"
    return "0" * (len(code) - 1) + code


def _bits(text: str) -> bytes:
    """Add the stop bit to a bit string and return its bytes."""
    text += "1"
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def _escaped(payload: bytes) -> bytes:
    """Insert emulation prevention bytes."""
    if b"\x00\x00" not in payload:
        return payload
    out, zeros = bytearray(), 0
    for byte in payload:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


def _sps(width: int, height: int, blocks_x: int, blocks_y: int) -> bytes:
    bits = f"{66:08b}{0b11000000:08b}{52:08b}"  # baseline, constrained, level 5.2
    bits += _ue(0) + _ue(0) + _ue(2) + _ue(1) + "0"  # id, 4-bit frame_num, output in order, one reference
    bits += _ue(blocks_x - 1) + _ue(blocks_y - 1) + "1" + "1"  # size in blocks, frames only, direct_8x8
    right, bottom = (blocks_x * 16 - width) // 2, (blocks_y * 16 - height) // 2
    bits += "1" + _ue(0) + _ue(right) + _ue(0) + _ue(bottom) if right or bottom else "0"
    # VUI: video_signal_type with bt709 primaries, transfer and matrix, limited range.
    bits += "1" + "0" + "0" + "1" + "101" + "0" + "1" + f"{1:08b}{1:08b}{1:08b}"
    bits += "0" + "0" + "0" + "0" + "0" + "0"  # chroma loc, timing, hrd x2, pic_struct, restrictions
    return b"\x67" + _escaped(_bits(bits))


def _pps() -> bytes:
    bits = _ue(0) + _ue(0) + "0" + "0" + _ue(0) + _ue(0) + _ue(0) + "0" + "00"
    bits += _ue(0) * 3 + "1" + "0" + "0"  # qp 26, deblocking control present
    return b"\x68" + _bits(bits)


def _idr(color: RGB, number: int, blocks_x: int, blocks_y: int) -> bytes:
    bits = _ue(0) + _ue(7) + _ue(0) + "0000" + _ue(number % 2) + "00" + "1" + _ue(1)
    bits += _ue(25)  # I_PCM: the only block with the color; all others are predicted from it
    bits += "0" * (-len(bits) % 8)
    head = int(bits, 2).to_bytes(len(bits) // 8, "big")
    y, cb, cr = _yuv(color)
    pcm = bytes([y]) * 256 + bytes([cb]) * 64 + bytes([cr]) * 64
    return b"\x65" + _escaped(head + pcm + _following(blocks_x, blocks_y))


@lru_cache(maxsize=4)
def _following(blocks_x: int, blocks_y: int) -> bytes:
    """Return the blocks after the first, which are the same for every color. A movie can have 2,000 scenes of 4K."""
    blocks = [_SAME] * (blocks_x * blocks_y)
    if blocks_x > 1:
        blocks[1] = _SAME_BY_PCM
    if blocks_y > 1:
        blocks[blocks_x] = _SAME_BY_PCM
    return _bits("".join(blocks[1:]))


def _same(frame_num: int, blocks: int) -> bytes:
    bits = _ue(0) + _ue(5) + _ue(0) + f"{frame_num % 16:04b}" + "0" + "0" + "0" + "1" + _ue(1) + _ue(blocks)
    return b"\x41" + _escaped(_bits(bits))


def _yuv(color: RGB) -> tuple[int, int, int]:
    """Convert to BT.709, limited range."""
    r, g, b = (c / 255 for c in color)
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    values = (16 + 219 * y, 128 + 224 * (b - y) / 1.8556, 128 + 224 * (r - y) / 1.5748)
    return (round(values[0]), round(values[1]), round(values[2]))


def write_solid_mp4(path: Path, runs: Sequence[Run], *, width: int, height: int, fps: Fraction) -> None:
    """Write the video to *path*.

    :param runs: colors in order of time, at least one frame in all.
    :param width: pixels, even.
    :param height: pixels, even.
    :raises ValueError: an odd size, or no frames.
    """
    if width % 2 or height % 2 or not any(run.frames for run in runs):
        raise ValueError("a video must have an even width and height, and at least one frame")
    blocks_x, blocks_y = -(-width // 16), -(-height // 16)
    skipped = [_same(n, blocks_x * blocks_y) for n in range(16)]
    samples: list[bytes] = []
    keys: list[int] = []
    for number, run in enumerate(r for r in runs if r.frames):
        keys.append(len(samples) + 1)
        samples.append(_idr(run.color, number, blocks_x, blocks_y))
        samples.extend(skipped[n % 16] for n in range(1, run.frames))
    sps, pps = _sps(width, height, blocks_x, blocks_y), _pps()
    data = b"".join(struct.pack(">I", len(s)) + s for s in samples)
    sizes = [len(s) + 4 for s in samples]
    ftyp = _box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomiso2avc1mp41")
    # The offset of the data depends on the length of the boxes before it, which does not depend on the offset.
    moov = _moov(sizes, keys, 0, sps, pps, width=width, height=height, fps=fps)
    offset = len(ftyp) + len(moov) + 8
    moov = _moov(sizes, keys, offset, sps, pps, width=width, height=height, fps=fps)
    path.write_bytes(ftyp + moov + _box(b"mdat", data))


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def _full(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *parts)


_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def _moov(
    sizes: list[int],
    keys: list[int],
    offset: int,
    sps: bytes,
    pps: bytes,
    *,
    width: int,
    height: int,
    fps: Fraction,
) -> bytes:
    count, step, scale = len(sizes), fps.denominator, fps.numerator
    length = count * step
    millis = round(1000 * length / scale)
    avcc = _box(
        b"avcC",
        bytes([1, sps[1], sps[2], sps[3], 0xFF, 0xE1]),
        struct.pack(">H", len(sps)), sps, b"\x01", struct.pack(">H", len(pps)), pps,
    )  # fmt: skip
    colr = _box(b"colr", b"nclx", struct.pack(">HHHB", 1, 1, 1, 0))
    avc1 = _box(
        b"avc1",
        bytes(6) + struct.pack(">H", 1) + bytes(16) + struct.pack(">HHII", width, height, 0x480000, 0x480000),
        bytes(4) + struct.pack(">H", 1) + bytes(32) + struct.pack(">Hh", 24, -1), avcc, colr,
    )  # fmt: skip
    stbl = _box(
        b"stbl",
        _full(b"stsd", struct.pack(">I", 1), avc1),
        _full(b"stts", struct.pack(">III", 1, count, step)),
        _full(b"stss", struct.pack(f">I{len(keys)}I", len(keys), *keys)),
        _full(b"stsc", struct.pack(">IIII", 1, 1, count, 1)),
        _full(b"stsz", struct.pack(f">II{count}I", 0, count, *sizes)),
        _full(b"stco", struct.pack(">II", 1, offset)),
    )
    dinf = _box(b"dinf", _full(b"dref", struct.pack(">I", 1), _full(b"url ", flags=1)))
    minf = _box(b"minf", _full(b"vmhd", bytes(8), flags=1), dinf, stbl)
    mdhd = _full(b"mdhd", struct.pack(">IIIIHH", 0, 0, scale, length, 0x55C4, 0))
    hdlr = _full(b"hdlr", bytes(4), b"vide", bytes(12), b"VideoHandler\x00")
    tkhd = _full(
        b"tkhd",
        struct.pack(">IIIII", 0, 0, 1, 0, millis) + bytes(8) + struct.pack(">hhhH", 0, 0, 0, 0) + _MATRIX,
        struct.pack(">II", width << 16, height << 16),
        flags=3,
    )
    trak = _box(b"trak", tkhd, _box(b"mdia", mdhd, hdlr, minf))
    mvhd = _full(
        b"mvhd",
        struct.pack(">IIIIIH", 0, 0, 1000, millis, 0x10000, 0x100) + bytes(10) + _MATRIX + bytes(24),
        struct.pack(">I", 2),
    )
    return _box(b"moov", mvhd, trak)
