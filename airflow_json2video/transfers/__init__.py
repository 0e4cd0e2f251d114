"""Transfers between JSON2Video and object storage."""
