"""The work of the batch operator."""
