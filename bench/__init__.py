"""The benchmark suite: what Headgate costs beside nginx doing the same. `python -m bench --help`."""
