"""P1: what is planted in prompts, answers, headers, addresses, keys and providers' errors comes out nowhere else."""

import json
import signal
from pathlib import Path

import httpx
import pytest

from tests.faults import provider as faults
from tests.service import process

PLANTED = {
    "word": "planted-prompt-5d1c7e",
    "mail": "jane.doe@example.com",
    "key": "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH",
    "card": "4111 1111 1111 1111",
    "phone": "+1 415-555-2671",
}
PROMPT = " and ".join(PLANTED.values())
UPSTREAM_KEY = "sk-upstream-7c6b5a4f3e2d1c0b9a8f7e6d"
CALLER_KEY = "sk-caller-0f1e2d3c4b5a69788796a5b4"
URL_KEY = "planted-query-8e2f"
MODELS = ["up/ok", "up/tools", "up/400", "up/401", "up/429", "up/500", "up/503", "up/html", "up/redirect", "up/gzip"]
MODELS += [
    "up/cut-40",
    "up/no-finish",
    "up/error-midway",
    "up/broken-json",
    "up/404",
    "show/echo",
    "show/error-500",
    "nope",
]
TOLD = ("up/400", "up/404")
OWN = frozenset({PLANTED["word"], PLANTED["mail"], PLANTED["card"], PLANTED["phone"]})


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_nothing_that_was_planted_comes_out_p1(log_format: str, tmp_path: Path) -> None:
    config = tmp_path / "headgate.toml"
    with faults.process() as upstream:
        config.write_text(
            f'[providers.up]\nkind = "openai"\nbase_url = "{upstream}"\napi_key = "env:PLANTED_KEY"\n'
            '[providers.show]\nkind = "demo"\n'
        )
        environ = {
            "HEADGATE_CONFIG": str(config),
            "PLANTED_KEY": UPSTREAM_KEY,
            "LOG_LEVEL": "debug",
            "LOG_FORMAT": log_format,
            "RETRY_MAX_ATTEMPTS": "1",
            "EXECUTION_TRACKING_SAMPLE_RATE": "1",
            "RATE_LIMIT_REQUESTS_PER_MINUTE": "100000",
        }
        # To a file: a pipe holds 64 KiB, and then the service waits for its reader.
        with (tmp_path / "log").open("w") as output, process(environ, output) as (service, url):
            shown = _use(url)
            service.send_signal(signal.SIGTERM)
            service.wait(timeout=20)
        log = (tmp_path / "log").read_text()
    assert log.count("request") >= len(MODELS)
    for place, text in {"log": log, **shown}.items():
        own = OWN if place.startswith(TOLD) else frozenset()  # what a provider says of a request is its caller's (R9)
        for planted in {*PLANTED.values(), UPSTREAM_KEY, CALLER_KEY, URL_KEY} - own:
            assert planted not in text, place
    assert PLANTED["word"] in shown["up/400 True"]


def _use(url: str) -> dict[str, str]:
    """Asks for everything in every way; what a stranger or an operator is shown afterwards, and every error body."""
    shown: dict[str, str] = {}
    headers = {
        "Authorization": f"Bearer {CALLER_KEY}",
        "X-Thread-ID": PLANTED["mail"],
        "User-Agent": f"agent {PLANTED['key']}",
        "Cookie": f"session={PLANTED['word']}",
        "Referer": f"http://example.com/?token={PLANTED['key']}",
    }
    with httpx.Client(base_url=url, timeout=30, headers=headers) as client:
        query = {"api_key": URL_KEY, "mail": PLANTED["mail"]}
        for model in MODELS:
            body = {"model": model, "messages": [{"role": "user", "content": PROMPT}], "user": PLANTED["mail"]}
            for stream in (True, False):
                answer = client.post("/v1/chat/completions", params=query, json={**body, "stream": stream})
                if not answer.is_success:
                    shown[f"{model} {stream}"] = answer.text
            answer = client.post("/v1/streams", params=query, json={"model": model, "prompt": PROMPT + " again"})
            thread = answer.headers["x-thread-id"]
            execution = client.get(f"/v1/threads/{thread}/execution")
            shown[f"execution {model}"] = execution.text
        shown["broken"] = client.post(
            "/v1/streams", content=PROMPT.encode(), headers={"Content-Type": "application/json"}
        ).text
        shown["no such path"] = client.get(f"/v1/{PLANTED['word']}", params=query).text
        for path in ("/v1/stages", "/v1/models", "/metrics", "/readyz", "/openapi.json"):
            shown[path] = client.get(path).text
    assert json.loads(shown["/v1/stages"])["stages"]
    return shown
