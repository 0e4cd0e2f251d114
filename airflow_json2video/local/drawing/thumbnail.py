"""The thumbnail of a video: ``python -m airflow_json2video.local.drawing.thumbnail out.mp4 thumbnail.jpg``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from PIL import Image

from airflow_json2video.local.drawing.clips import NotMedia
from airflow_json2video.local.drawing.snapshots import FileStills

__all__ = ["main"]

_SIZE = (640, 360)


def main(video: Path, picture: Path) -> int:
    """Write the picture atomically and return the exit code."""
    try:
        stills = FileStills(video)
        # After a fade-in, but from the beginning, so that the video is recognizable.
        (still,) = stills.at([min(2.0, stills.duration / 3)])
    except NotMedia as fault:
        print(f"{video}: {fault}", file=sys.stderr)
        return 1
    small = still.picture.convert("RGB")
    small.thumbnail(_SIZE, Image.Resampling.LANCZOS)
    partial = picture.with_name(f"{picture.name}.{os.getpid()}.part")
    small.save(partial, "JPEG", quality=82)
    partial.replace(picture)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), Path(sys.argv[2])))
