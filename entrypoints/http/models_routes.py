"""The models that can be asked for, as OpenAI lists them."""

from fastapi import APIRouter, Request, Response

from domain.errors import ModelNotFoundError
from domain.services.model_catalogue import ModelCatalogue
from entrypoints.http.context import RequestContexts, thread_id
from entrypoints.wire import json_text
from entrypoints.wire.openai import model_object


def models_router(catalogue: ModelCatalogue, contexts: RequestContexts, started_at: int) -> APIRouter:
    """The routes. Every model is told to be as old as this process, `started_at`, Unix time in seconds."""
    router = APIRouter(tags=["OpenAI"])

    @router.head("/v1/models", include_in_schema=False)
    @router.get("/v1/models", summary="The public model names, and what each provider lists")
    async def models(request: Request) -> Response:
        contexts.caller(request)
        rows = [model_object(name, provider, started_at) for name, provider in (await catalogue.list()).items()]
        return _answer(request, {"object": "list", "data": rows})

    @router.head("/v1/models/{model:path}", include_in_schema=False)
    @router.get("/v1/models/{model:path}", summary="One model")
    async def model(request: Request, model: str) -> Response:
        contexts.caller(request)
        name = await catalogue.find(model)
        if name is None:
            raise ModelNotFoundError("No such model.", details={"param": "model"})
        provider = None if name in catalogue.routes else name.partition("/")[0]
        return _answer(request, model_object(name, provider, started_at))

    return router


def _answer(request: Request, content: object) -> Response:
    headers = {"X-Request-ID": thread_id(request)}
    return Response(json_text.dumps(content), headers=headers, media_type="application/json")
