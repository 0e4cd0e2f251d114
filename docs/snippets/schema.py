"""Write the JSON Schema of movies for an editor."""

import json
from pathlib import Path

from airflow_json2video.movie import Movie

Path("movie.schema.json").write_text(json.dumps(Movie.model_json_schema(), indent=2))
