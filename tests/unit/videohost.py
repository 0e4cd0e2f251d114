"""A host of one large MP4 that supports ranges and can be made to misbehave."""

from __future__ import annotations

import struct
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def box(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content


def mvhd(seconds: float, *, version: int = 0) -> bytes:
    if version == 1:
        return box(b"mvhd", struct.pack(">B3xQQIQ", 1, 0, 0, 1000, round(seconds * 1000)) + bytes(80))
    return box(b"mvhd", struct.pack(">B3xIIII", 0, 0, 0, 1000, round(seconds * 1000)) + bytes(80))


def mp4_head(seconds: float, *, version: int = 0) -> bytes:
    return box(b"ftyp", b"isom\0\0\2\0isomiso2") + box(b"moov", mvhd(seconds, version=version))


class VideoHost:
    """Serves an MP4 of *size* bytes and *seconds*, generated while it is sent.

    :ivar breaks: the connections still to break, each after so many bytes of its answer.
    :ivar pause: seconds before each block. :ivar ranges: whether ranges are known.
    :ivar dated: when it was last modified, if the host says so. :ivar heeds: whether it heeds If-Range.
    :ivar requests: the headers of each request. :ivar sent: bytes of each answer.
    """

    def __init__(self, *, size: int, seconds: float) -> None:
        self.size = size
        self.head = mp4_head(seconds)
        self.head += struct.pack(">I4s", size - len(self.head), b"mdat")
        self.etag = '"one"'
        self.dated = ""
        self.heeds = True
        self.breaks: list[int] = []
        self.pause = 0.0
        self.ranges = True
        self.content_type = "video/mp4"
        self.redirect: str | None = None
        self.requests: list[dict[str, str]] = []
        self.sent: list[int] = []
        self.url = ""

    def bytes_of(self, start: int, end: int) -> bytes:
        head = self.head[start:end]
        rest = max(0, end - max(start, len(self.head)))
        return head + bytes([len(self.etag) % 251]) * rest

    def movie(self, project: str = "Qk3vT9zLm2XcB7wA", *, seconds: float = 60.0) -> dict:
        return {
            "project": project,
            "status": "done",
            "url": self.url,
            "size": self.size,
            "duration": seconds,
            "ended_at": "2026-05-12T07:44:57.108Z",
        }


@contextmanager
def video_host(*, size: int, seconds: float = 60.0):
    host = VideoHost(size=size, seconds=seconds)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            host.requests.append(dict(self.headers))
            if host.redirect is not None and not self.path.startswith("/there"):
                self.send_response(302)
                self.send_header("Location", host.redirect)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = 0
            asked = self.headers.get("Range")
            valid = self.headers.get("If-Range", host.etag) in (host.etag, host.dated) or not host.heeds
            if asked and host.ranges and valid:
                start = int(asked.removeprefix("bytes=").rstrip("-"))
            self.send_response(206 if start else 200)
            self.send_header("Content-Type", host.content_type)
            self.send_header("Content-Length", str(host.size - start))
            if host.etag:
                self.send_header("ETag", host.etag)
            if host.dated:
                self.send_header("Last-Modified", host.dated)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{host.size - 1}/{host.size}")
            self.end_headers()
            end = start + host.breaks.pop(0) if host.breaks else host.size
            at = start
            while at < end:
                time.sleep(host.pause)
                block = host.bytes_of(at, min(at + 256 * 1024, end))
                try:
                    self.wfile.write(block)
                except OSError:
                    break
                at += len(block)
            host.sent.append(at - start)
            if at < host.size:
                self.close_connection = True

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    host.url = f"http://127.0.0.1:{server.server_port}/film.mp4"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
