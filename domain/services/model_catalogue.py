"""Which models there are: the routes, and what each provider lists as `provider/model` (kind 19)."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from domain.errors import ProviderError, ProviderTimeoutError
from ports.clock import Clock
from ports.defects import LOGGED_DEFECTS, Defects, Wall, Where
from ports.model_list import ModelList
from ports.provider import Provider

FRESH_SECONDS = 60.0
"""How long a list is used without another look, and a failure remembered."""
MAX_MODELS = 5_000
"""Of one provider."""
MAX_NAME_LENGTH = 200
"""Characters of `provider/model`."""

OnFailure = Callable[[str, str], None]
"""Is told of a list that could not be had: the provider and the code of the error."""


class _Listing:
    """What is known of one provider: its models, None until it has said them once, and when it was last asked."""

    __slots__ = ("asked_at", "models", "source", "task")

    def __init__(self, source: ModelList) -> None:
        self.source = source
        self.models: tuple[str, ...] | None = None
        self.asked_at: float | None = None
        self.task: asyncio.Task[None] | None = None


class ModelCatalogue:
    """Asks the providers when somebody wants to know, each at most once a minute and by one call at a time.

    A provider whose list is known already is never waited for: its last good list is told while a new one is fetched.
    One that cannot say lists nothing. Times are seconds: `wait` is what a caller waits for lists that are not known
    yet, `limit` what a provider may take for its own.
    """

    def __init__(
        self,
        clock: Clock,
        routes: Sequence[str],
        providers: Mapping[str, Provider],
        on_failure: OnFailure,
        *,
        wait: float = 2.0,
        limit: float = 10.0,
        defects: Defects = LOGGED_DEFECTS,
    ) -> None:
        self._clock = clock
        self._routes = tuple(routes)
        self._providers = providers
        self._on_failure = on_failure
        self._wait = wait
        self._limit = limit
        self._wall = Wall(defects, Where.MODELS)
        self._listings = {name: _Listing(one) for name, one in providers.items() if isinstance(one, ModelList)}

    @property
    def routes(self) -> tuple[str, ...]:
        """The public names, in the order of the configuration."""
        return self._routes

    async def list(self) -> dict[str, str | None]:
        """The names, each with the provider that lists it; the routes come first, in their order, and have none."""
        await self._look(self._listings)
        names: dict[str, str | None] = dict.fromkeys(self._routes)
        for provider in sorted(self._listings):
            for model in self._listings[provider].models or ():
                names.setdefault(f"{provider}/{model}", provider)
        return names

    async def find(self, name: str) -> str | None:
        """The name if there is such a model, or one that a provider may have: one that has never said what it has is
        believed to have it."""
        provider, slash, model = name.partition("/")
        if name in self._routes:
            return name
        if provider not in self._providers or not slash or not _is_name(provider, model):
            return None
        listing = self._listings.get(provider)
        if listing is None:
            return name
        await self._look([provider])
        return name if listing.models is None or model in listing.models else None

    async def aclose(self) -> None:
        """Gives up what is being fetched."""
        tasks = [listing.task for listing in self._listings.values() if listing.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self, names: Sequence[str] | Mapping[str, object]) -> None:
        """Has those asked whose list is not fresh, and waits for those whose list is not known."""
        now = self._clock.monotonic()
        unknown = []
        for name in names:
            listing = self._listings[name]
            if listing.task is None and (listing.asked_at is None or now - listing.asked_at >= FRESH_SECONDS):
                listing.asked_at = now
                listing.task = asyncio.create_task(self._fetch(name, listing), name=f"models of {name}")
            if listing.task is not None and listing.models is None:
                unknown.append(listing.task)
        if unknown:
            await asyncio.wait(unknown, timeout=self._wait)

    async def _fetch(self, name: str, listing: _Listing) -> None:
        """One call. What goes wrong is counted, and is nobody's error: the last good list stays."""
        try:
            with self._wall:  # an adapter's defect must not keep the other lists from being told
                try:
                    async with asyncio.timeout(self._limit):
                        found = await listing.source.list_models()
                except ProviderError as error:
                    self._on_failure(name, error.code)
                except TimeoutError:
                    self._on_failure(name, ProviderTimeoutError.code)
                else:
                    listing.models = tuple(sorted({one for one in found if _is_name(name, one)}))[:MAX_MODELS]
        finally:
            listing.task = None


def _is_name(provider: str, model: str) -> bool:
    """Whether a model can be asked for by this name."""
    return (
        bool(model) and len(provider) + 1 + len(model) <= MAX_NAME_LENGTH and model.isprintable() and " " not in model
    )
