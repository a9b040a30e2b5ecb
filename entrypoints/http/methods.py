"""Which methods a path takes: what `Allow` says, and what an `OPTIONS` is told."""

from collections.abc import Iterable

from starlette.routing import BaseRoute, Route

OPTIONS = "OPTIONS"


class AllowedMethods:
    """Knows the methods of each path. The framework looks at one route at a time, and a path may have several."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._routes = [(route.path_regex, route.methods or set()) for route in routes if isinstance(route, Route)]

    def of(self, path: str) -> str:
        """The methods of this path, OPTIONS among them, as `Allow` lists them."""
        known = {method for pattern, methods in self._routes if pattern.match(path) for method in methods}
        return ", ".join(sorted(known | {OPTIONS}))
