"""Adapters of Redis (7.0 or newer) and Valkey (8 or newer): what makes many replicas one service."""
