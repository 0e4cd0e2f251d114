"""Operators for renders, batches, templates, the drive and the account's list of renders."""
