"""Store the file of a finished render: download, checks, destinations."""
