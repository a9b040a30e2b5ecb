"""Where requests come in: the HTTP service and the command line."""
