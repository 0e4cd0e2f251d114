"""What OpenLineage is told."""
