"""Implementations of the ports: folder = vendor, file = port."""
