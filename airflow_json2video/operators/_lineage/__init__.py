"""The OpenLineage metadata of a render."""
