"""Adapters for one process: the embedded default, and what tests use. Real ones, with bounds."""
