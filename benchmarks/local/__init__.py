"""How fast movies are drawn on this machine, next to moviepy and a plain FFmpeg filter graph."""
