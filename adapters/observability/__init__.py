"""Logs and redaction."""
