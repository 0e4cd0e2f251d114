"""What waits for a render without a worker slot."""
