"""Other spellings of our paths that clients are known to use: without `/v1`, and with a slash at the end."""

_UNVERSIONED = ("/chat/completions", "/models")
_OURS = ("/v1/", "/chat/", "/models/", "/livez/", "/readyz/", "/metrics/")


def canonical(path: str) -> str:
    """The path as the routes have it; any other as it is. Never raises."""
    if path.endswith("/") and path.startswith(_OURS):
        path = path[:-1]
    if path in _UNVERSIONED or path.startswith("/models/"):
        return f"/v1{path}"
    return path
