"""The types of what tasks return, for annotations: ``def publish(video: RenderResult)``. Imports no Airflow."""

from __future__ import annotations

from airflow_json2video.core.batch import BatchResult
from airflow_json2video.core.price import Cost
from airflow_json2video.core.result import RenderResult
from airflow_json2video.core.storage_path import StoredVideo

__all__ = ["BatchResult", "Cost", "RenderResult", "StoredVideo"]
