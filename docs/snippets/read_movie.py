"""Read a document and write it back unchanged."""

from airflow_json2video.movie import Movie

document = {"scenes": [{"duration": "2", "new-key": [1]}], "resolution": "{{ size }}"}
movie = Movie.from_document(document)
assert movie.scenes[0].duration == "2"  # a numeric string stays one
assert movie.scenes[0].unknown_keys == {"new-key": [1]}  # preserved, although it is unknown
assert movie.to_document() == document  # nothing added, nothing reordered
