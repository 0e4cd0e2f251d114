"""``python -m airflow_json2video``: the same as the command ``json2video``."""

import sys

from airflow_json2video.commands import main

if __name__ == "__main__":
    sys.exit(main())
