"""Build a movie and print its document."""

import json

from airflow_json2video.movie import Movie, Scene, TextElement, Transition

movie = Movie(
    resolution="squared",
    scenes=[
        Scene(
            duration=2,
            background_color="#22223B",
            elements=[TextElement(text="A new gallery", fade_in=0.4)],
        ),
        Scene(duration=2, transition=Transition(style="fade", duration=0.5)),
    ],
)
print(json.dumps(movie.to_document(), indent=2))
