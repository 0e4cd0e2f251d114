"""Draws a timeline to a file: pictures with Pillow, encoding with PyAV, and one mode without either."""
