"""The tests of this package, and what they stand on."""
