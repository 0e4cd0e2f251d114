"""Reading the rows of a batch from object storage: CSV, JSON Lines, Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import Any

from airflow_json2video.exceptions import ConfigurationError

__all__ = ["read_rows"]

_NOTHING = "Nothing was submitted."


def read_rows(source: str) -> Iterator[dict[str, Any]]:
    """Give the rows of a file, one by one.

    An empty cell of a CSV file and a null of the others are no value: the movie's own counts then.

    :param source: path or address, as :class:`~airflow.sdk.ObjectStoragePath` takes it; ends in ``.csv``, ``.jsonl``
        or ``.parquet``. Text is UTF-8.
    :raises ConfigurationError: the file cannot be read, or is not what its name says; names the line.
    """
    readers = {".csv": _csv, ".jsonl": _json_lines, ".ndjson": _json_lines, ".parquet": _parquet}
    reader = next((read for end, read in readers.items() if source.lower().endswith(end)), None)
    if reader is None:
        raise ConfigurationError(
            f"The source {source!r} has no name that says what it is.",
            advice=f"Use one that ends in {', '.join(readers)}. {_NOTHING}",
        )
    try:
        yield from reader(source)
    except ConfigurationError:
        raise
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"The source {source!r} is not UTF-8: {error}.", advice=_NOTHING) from error
    except Exception as error:  # each store has errors of its own
        raise ConfigurationError(
            f"The source {source!r} cannot be read: {type(error).__name__}: {error}.",
            advice=f"Check the path, and the connection of the store. {_NOTHING}",
        ) from error


def _csv(source: str) -> Iterator[dict[str, Any]]:
    with _open(source, "r", encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(_lines(file), strict=True)
        header = next(lines, None)
        if header is None:
            return
        if len(set(header)) < len(header) or not all(header):
            raise ConfigurationError(
                f"The first line of {source!r} has to name each column once, and it is {header!r}.", advice=_NOTHING
            )
        try:
            for cells in lines:
                if not cells:
                    continue
                if len(cells) > len(header):
                    raise ConfigurationError(
                        f"{source}: line {lines.line_num} has {len(cells)} cells, and there are {len(header)} columns.",
                        advice=_NOTHING,
                    )
                yield {name: cell or None for name, cell in zip(header, cells, strict=False)}
        except csv.Error as error:
            raise ConfigurationError(f"{source}: line {lines.line_num} is no CSV: {error}.", advice=_NOTHING) from error


def _json_lines(source: str) -> Iterator[dict[str, Any]]:
    with _open(source, "r", encoding="utf-8-sig") as file:
        for number, line in enumerate(_lines(file), 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise ConfigurationError(f"{source}: line {number} is no JSON: {error}.", advice=_NOTHING) from error
            if not isinstance(row, dict):
                raise ConfigurationError(f"{source}: line {number} is no JSON object.", advice=_NOTHING)
            yield row


def _parquet(source: str) -> Iterator[dict[str, Any]]:
    try:
        import pyarrow.parquet
    except ImportError:
        raise ConfigurationError(
            f"The source {source!r} is a Parquet file, which needs pyarrow: pip install pyarrow.", advice=_NOTHING
        ) from None
    with _open(source, "rb") as file:
        for piece in pyarrow.parquet.ParquetFile(file).iter_batches(batch_size=500):
            yield from piece.to_pylist()


def _lines(file: Any) -> Iterator[str]:
    # What Airflow wraps around a file to note lineage is no iterator in every version.
    return iter(file.readline, "")


def _open(source: str, mode: str, **options: Any) -> Any:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    path: Any = ObjectStoragePath(source)
    return path.open(mode, **options)
