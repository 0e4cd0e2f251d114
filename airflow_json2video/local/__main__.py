"""``python -m airflow_json2video.local``."""

from __future__ import annotations

from airflow_json2video.local.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
