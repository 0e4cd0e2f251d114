"""What becomes of a rendered file: download, checks, destinations."""
