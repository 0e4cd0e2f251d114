"""``@task.json2video``: a function that returns a movie becomes a render."""
