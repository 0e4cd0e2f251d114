"""What is run by hand: the demo and the version matrix."""
