"""The HTTP/1.1 server side of a connection: its bounds, its framing, and the writer that a response is given.

The only package that knows uvicorn's or httptools' insides. uvicorn stays the server (sockets, workers, lifecycle) and
takes `Connections.accept` for its protocol class.
"""
