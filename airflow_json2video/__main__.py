"""``python -m airflow_json2video``."""

import sys

from airflow_json2video.cli import main

if __name__ == "__main__":
    sys.exit(main())
