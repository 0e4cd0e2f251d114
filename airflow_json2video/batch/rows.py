"""Read the rows of a batch from object storage: CSV, JSON Lines or Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Any

from airflow_json2video.core.batch_items import rows_of
from airflow_json2video.exceptions import ConfigurationError

__all__ = ["load_rows", "read_rows"]

_NOTHING = "Nothing was submitted."


def load_rows(items: Iterable[Any], *, source: str | None, key: str | None) -> list[dict[str, Any]]:
    """Return the rows of the file *source*, or of *items* if it is None, as plain JSON.

    :param key: name of the column that identifies a row, for messages.
    :raises ConfigurationError: the file cannot be read, or a row is wrong.
    """
    return rows_of(items if source is None else read_rows(source), source=source or "items", key=key)


def read_rows(source: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file.

    An empty cell of a CSV file and a null in the other formats count as missing: the movie's own value is used.

    :param source: path or address, in the form that :class:`~airflow.sdk.ObjectStoragePath` accepts; ends in
        ``.csv``, ``.jsonl``, ``.ndjson`` or ``.parquet``. Text is UTF-8.
    :raises ConfigurationError: the file cannot be read, or its content does not match its name; names the line.
    """
    readers = {".csv": _csv, ".jsonl": _json_lines, ".ndjson": _json_lines, ".parquet": _parquet}
    reader = next((read for end, read in readers.items() if source.lower().endswith(end)), None)
    if reader is None:
        raise ConfigurationError(
            f"The format of the source {source!r} is unknown: its name must end in {', '.join(readers)}.",
            advice=_NOTHING,
        )
    try:
        yield from reader(source)
    except ConfigurationError:
        raise
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"The source {source!r} is not UTF-8: {error}.", advice=_NOTHING) from error
    except Exception as error:  # each store raises errors of its own
        raise ConfigurationError(
            f"The source {source!r} cannot be read: {type(error).__name__}: {error}.",
            advice=f"Check the path and the store's connection. {_NOTHING}",
        ) from error


def _csv(source: str) -> Iterator[dict[str, Any]]:
    with _open(source, "r", encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(_lines(file), strict=True)
        header = next(lines, None)
        if header is None:
            return
        if len(set(header)) < len(header) or not all(header):
            raise ConfigurationError(
                f"The first line of {source!r} must name each column exactly once, got {header!r}.", advice=_NOTHING
            )
        try:
            for cells in lines:
                if not cells:
                    continue
                if len(cells) > len(header):
                    raise ConfigurationError(
                        f"{source}: line {lines.line_num} has {len(cells)} cells for {len(header)} columns.",
                        advice=_NOTHING,
                    )
                yield {name: cell or None for name, cell in zip(header, cells, strict=False)}
        except csv.Error as error:
            raise ConfigurationError(
                f"{source}: line {lines.line_num} is not valid CSV: {error}.", advice=_NOTHING
            ) from error


def _json_lines(source: str) -> Iterator[dict[str, Any]]:
    with _open(source, "r", encoding="utf-8-sig") as file:
        for number, line in enumerate(_lines(file), 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise ConfigurationError(
                    f"{source}: line {number} is not valid JSON: {error}.", advice=_NOTHING
                ) from error
            if not isinstance(row, dict):
                raise ConfigurationError(f"{source}: line {number} is not a JSON object.", advice=_NOTHING)
            yield row


def _parquet(source: str) -> Iterator[dict[str, Any]]:
    try:
        import pyarrow.parquet  # optional
    except ImportError:
        raise ConfigurationError(
            f"The source {source!r} is a Parquet file, which needs pyarrow: pip install pyarrow.", advice=_NOTHING
        ) from None
    with _open(source, "rb") as file:
        for piece in pyarrow.parquet.ParquetFile(file).iter_batches(batch_size=500):
            yield from piece.to_pylist()


def _lines(file: Any) -> Iterator[str]:
    # Airflow's file object that records lineage is not an iterator in every version.
    return iter(file.readline, "")


def _open(source: str, mode: str, **options: Any) -> Any:
    from airflow.providers.common.compat.sdk import ObjectStoragePath  # Airflow loads fsspec with it

    path: Any = ObjectStoragePath(source)
    return path.open(mode, **options)
