"""From a timeline to a file: pictures with Pillow, coding with PyAV, and a way without either."""
