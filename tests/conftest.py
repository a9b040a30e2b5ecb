"""What all tests share: in CI properties are tried on the same examples each time, elsewhere on new ones."""

import os

from hypothesis import HealthCheck, settings

SLOW = [HealthCheck.too_slow]
"""An example that took long on a busy machine says nothing of the code."""

settings.register_profile("here", deadline=None, suppress_health_check=SLOW)
settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=SLOW)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")
