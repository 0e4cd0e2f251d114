"""Write the report of a batch to object storage: JSON Lines, one line per item."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airflow_json2video.core.batch import BatchLedger
from airflow_json2video.core.batch_items import BatchItems
from airflow_json2video.exceptions import ConfigurationError

__all__ = ["report_lines", "write_report"]


def write_report(path: str, items: BatchItems, batch: BatchLedger) -> None:
    """Write the state of every item. An existing file is replaced atomically.

    :param path: path or address, in the form that :class:`~airflow.sdk.ObjectStoragePath` accepts.
    :raises ConfigurationError: the report cannot be written.
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath  # Airflow loads fsspec with it

    try:
        final: Any = ObjectStoragePath(path)
        # An object store shows a file only when it is complete; on a disk the file is renamed when it is complete.
        is_disk = final.protocol in ("file", "local", "")
        target = final.with_name(f".{final.name}.part") if is_disk else final
        if is_disk:
            target.parent.mkdir(parents=True, exist_ok=True)
        # Unpaired surrogates are written as JSON escapes.
        with target.open("w", encoding="utf-8", errors="backslashreplace") as file:
            for line in report_lines(items, batch):
                file.write(f"{json.dumps(line, ensure_ascii=False)}\n")
        if is_disk:
            Path(target.path).replace(final.path)
    except Exception as error:  # each store raises errors of its own
        raise ConfigurationError(
            f"The report {path!r} cannot be written: {type(error).__name__}: {error}.",
            advice="Check the path and the store's connection.",
        ) from error


def report_lines(items: BatchItems, batch: BatchLedger) -> list[dict[str, Any]]:
    """Return the lines of a report, in the order of the rows."""
    lines = []
    for number, (key, record) in enumerate(zip(items.keys, batch.records, strict=True), 1):
        line: dict[str, Any] = {"key": key, "row": number, "status": record.state.value, "project": record.project}
        if record.facts:
            line |= {
                "url": record.facts.get("url"),
                "stored_path": record.stored,
                "duration": record.facts.get("duration"),
                "size": record.facts.get("size"),
                "credits": record.credits,
            }
        if record.error is not None:
            line["error"] = record.error
        lines.append(line)
    return lines
