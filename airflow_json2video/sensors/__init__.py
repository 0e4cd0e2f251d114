"""Tasks that wait for renders which others submitted."""
