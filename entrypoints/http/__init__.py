"""The FastAPI application: routes, SSE responses, errors as HTTP."""
