"""Estimate what a movie file will cost."""

import json
from pathlib import Path

from airflow_json2video.movie import estimate

movie = json.loads(Path("dags_examples/movies/weekly_report.json").read_text())
guess = estimate(movie)
print(guess.duration, guess.credits)  # 9.4 10
