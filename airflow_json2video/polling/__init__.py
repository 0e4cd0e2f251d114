"""How renders are waited for: one poller for an account and process."""
