"""Tasks that render."""
