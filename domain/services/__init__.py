"""What Headgate does with a request, from the cache lookup to the settlement; each service depends on ports alone."""
