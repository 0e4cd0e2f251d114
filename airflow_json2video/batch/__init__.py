"""Many renders as one task: rows, submission, recovery, budget, files and report."""
