"""File systems for tests: an object store and a plain one, both in a local folder."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

import fsspec
from fsspec import AbstractFileSystem


class FolderStore(AbstractFileSystem):
    """An object store: an object appears as a whole, after its last block was sent.

    :ivar on_block: called with the bytes sent so far, before each block.
    :ivar puts: the paths that were put under, in order.
    """

    protocol = ("s3", "s3a")
    cachable = False
    block = 64 * 1024

    def __init__(self, root=None, **options):
        super().__init__(**options)
        self.root = Path(root or "/nonexistent")
        self.on_block = lambda sent: None
        self.puts = []
        self.pieces = []

    def _of(self, path):
        return self.root / self._strip_protocol(path).lstrip("/")

    def info(self, path, **kwargs):
        found = self._of(path)
        if not found.exists():
            raise FileNotFoundError(path)
        kind = "directory" if found.is_dir() else "file"
        stat = found.stat()
        return {"name": path, "size": stat.st_size, "type": kind, "mtime": stat.st_mtime}

    def ls(self, path, detail=True, **kwargs):
        names = [f"{self._strip_protocol(path).rstrip('/')}/{found.name}" for found in self._of(path).iterdir()]
        return [self.info(name) for name in names] if detail else names

    def put_file(self, lpath, rpath, chunksize=50_000_000, **kwargs):
        assert not kwargs
        self.puts.append(rpath)
        self.pieces.append(chunksize)
        target = self._of(rpath)
        staged = self.root / f"not-there-yet-{os.getpid()}"
        with Path(lpath).open("rb") as source, staged.open("wb") as sink:
            while block := source.read(self.block):
                self.on_block(sink.tell())
                sink.write(block)
        target.parent.mkdir(parents=True, exist_ok=True)
        staged.replace(target)

    def rm_file(self, path):
        """Delete an object; the folders of its name are none, so they are gone with the last object in them."""
        found = self._of(path)
        found.unlink()
        for folder in found.relative_to(self.root).parents[:-2]:
            if any((self.root / folder).iterdir()):
                break
            (self.root / folder).rmdir()

    def _open(self, path, mode="rb", **kwargs):
        return self._of(path).open(mode)


class PlainFolder(FolderStore):
    """A file system where a file is seen while it is written, as over SFTP, and a move does not replace."""

    protocol = "sftp"

    @classmethod
    def _strip_protocol(cls, path):
        return "/" + path.partition("://")[2].partition("/")[2] if "://" in path else path

    def put_file(self, lpath, rpath, **kwargs):
        self.puts.append(rpath)
        with Path(lpath).open("rb") as source, self._of(rpath).open("wb") as sink:
            while block := source.read(self.block):
                self.on_block(sink.tell())
                sink.write(block)
                sink.flush()

    def makedirs(self, path, exist_ok=False):
        self._of(path).mkdir(parents=True, exist_ok=exist_ok)

    def mv(self, old, new):
        if self._of(new).exists():
            raise OSError("Failure")
        self._of(old).rename(self._of(new))

    def rm_file(self, path):
        self._of(path).unlink()


def attach(scheme, fs, *, conn_id=None):
    """Have Airflow take *fs* for every path of this scheme and connection."""
    fsspec.register_implementation(scheme, type(fs), clobber=True)
    for module in ("airflow.sdk.io.store", "airflow.io.store"):  # 3.0 and later; 2.11
        try:
            stores = import_module(module)
        except ImportError:
            continue
        alias = f"{scheme}-{conn_id}" if conn_id else scheme
        stores._STORE_CACHE.pop(alias, None)
        stores.attach(scheme, conn_id, fs=fs)
        return fs
    raise AssertionError("no Airflow")
