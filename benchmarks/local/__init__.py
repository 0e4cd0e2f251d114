"""How fast movies are drawn on this machine, beside moviepy and a plain FFmpeg filter graph."""
