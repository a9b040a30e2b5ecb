"""What the domain asks of the outside world: one small Protocol a file."""
