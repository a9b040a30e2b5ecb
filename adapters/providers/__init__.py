"""Providers of answers: one file a dialect."""
