"""`python -m entrypoints`: the command line, where the `headgate` script is not installed."""

import sys

from entrypoints.cli import main

sys.exit(main())
