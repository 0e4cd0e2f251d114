"""Decisions about renders, without I/O: identity, submission, poll schedule, outcome, price, storage path."""
