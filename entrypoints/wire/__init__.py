"""The dialects at the edge: bytes to a request, events to bytes, errors to bodies."""
