"""Computes the timeline of a document in whole frames. Pure: no network, no pixels."""
