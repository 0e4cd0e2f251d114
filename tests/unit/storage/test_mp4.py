"""The duration of an MP4, and whether the file is complete."""

from __future__ import annotations

import io
import struct

import pytest

from airflow_json2video.storage.mp4 import InvalidMp4, read_duration
from tests.unit.videohost import box, mp4_head, mvhd

MDAT = box(b"mdat", b"x" * 5000)


def duration(content):
    return read_duration(io.BytesIO(content), len(content))


@pytest.mark.parametrize("version", [0, 1])
def test_the_duration_is_that_of_the_movie_header(version):
    assert duration(mp4_head(12.5, version=version) + MDAT) == 12.5


def test_the_header_may_be_at_the_end():
    assert duration(box(b"ftyp", b"isom") + MDAT + box(b"free") + box(b"moov", mvhd(3))) == 3.0


def test_boxes_of_64_bits_and_to_the_end_of_the_file_are_read():
    long = struct.pack(">I4sQ", 1, b"mdat", 16 + 100) + bytes(100)
    assert duration(mp4_head(2) + long) == 2.0
    assert duration(mp4_head(2) + struct.pack(">I4s", 0, b"mdat") + bytes(100)) == 2.0


@pytest.mark.parametrize("left", [0, 1, 7, 12, 100, 200, 3000, 5100])
def test_an_incomplete_file_is_refused(left):
    whole = mp4_head(2) + MDAT
    assert left < len(whole)
    with pytest.raises(InvalidMp4):
        duration(whole[:left])


def test_a_file_that_ends_between_two_boxes_is_incomplete():
    with pytest.raises(InvalidMp4, match="'mdat'"):
        duration(mp4_head(2))
    with pytest.raises(InvalidMp4, match="'moov'"):
        duration(box(b"ftyp", b"isom") + MDAT)


@pytest.mark.parametrize("content", [b"<html>" + bytes(100), b"{}", MDAT, struct.pack(">I4s", 4, b"ftyp") + bytes(20)])
def test_a_file_that_is_not_an_mp4_is_refused(content):
    with pytest.raises(InvalidMp4):
        duration(content)


def test_a_missing_duration_is_unknown():
    unknown = box(b"moov", box(b"mvhd", struct.pack(">B3xIIII", 0, 0, 0, 1000, 2**32 - 1) + bytes(80)))
    assert duration(box(b"ftyp", b"isom") + unknown + MDAT) is None
