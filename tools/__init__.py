"""Commands for developers: the demo and the version matrix."""
