"""Harmless lines that look like they hold something: what a redactor must leave as it is."""

import base64
import ipaddress
import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tests.adapters.redaction_keys_planted import ALNUM, DIGITS, HEX, some
from tests.adapters.redaction_values import CARD_RANGES, is_luhn

WORDS = (
    "stream",
    "cache",
    "queue",
    "route",
    "target",
    "lease",
    "replica",
    "worker",
    "prompt",
    "chunk",
    "retry",
    "drain",
)


def moment(rng: random.Random) -> datetime:
    return datetime(2020, 1, 1, tzinfo=UTC) + timedelta(microseconds=rng.randrange(10**15 // 4))


def iso_date(rng: random.Random) -> str:
    when = moment(rng)
    return rng.choice(
        (
            f"{when.isoformat()} INFO started",
            f'{{"timestamp": "{when:%Y-%m-%dT%H:%M:%S.%fZ}", "level": "info"}}',
            f"{when:%Y-%m-%d %H:%M:%S},123 [worker-1] ready",
            f"backup-{when:%Y-%m-%d}-{when:%H%M}.tar.gz",
            f"on {when:%d.%m.%Y} at {when:%H:%M}",
            f"[{when:%d/%b/%Y:%H:%M:%S} +0000] up",
            f"{when:%Y%m%dT%H%M%SZ} snapshot",
            f"from {when:%Y-%m-%d} to {when:%Y-%m-%d}",
            f"{when:%d-%m-%Y %H:%M} moved",
            f"{when:%m/%d/%Y} {when:%H:%M}",
            f"{when:%Y-%m-%dT%H:%M:%S}+05:30 offset",
            f"{when:%Y.%m.%d-%H.%M.%S} dump",
        )
    )


def uuid_line(rng: random.Random) -> str:
    made = uuid.UUID(int=rng.getrandbits(128), version=4)
    return rng.choice(
        (
            f"thread_id={made}",
            f'{{"id": "{made}"}}',
            f"GET /v1/threads/{made}/execution 200",
            f"req {made.hex} done",
            f"urn:uuid:{made}",
            f"{made}",
        )
    )


def trace_id(rng: random.Random) -> str:
    trace, span = some(rng, HEX, 32), some(rng, HEX, 16)
    return rng.choice(
        (
            f"traceparent: 00-{trace}-{span}-01",
            f"trace_id={trace} span_id={span}",
            f"b3: {trace}-{span}-1",
            f'{{"trace": "{trace}"}}',
            f"sampled {span}",
            f"X-Amzn-Trace-Id: Root=1-{trace[:8]}-{trace[8:]}",
        )
    )


def version(rng: random.Random) -> str:
    one, two, three = rng.randrange(30), rng.randrange(200), rng.randrange(20_000)
    return rng.choice(
        (
            f"redis {one}.{two}.{three}",
            f"openai=={one}.{two}.{three}",
            f"python:{one}.{two}.{three}-slim-bookworm",
            f"v{one}.{two}.{three}-rc.{one}+build.{three}",
            f"npm react-dom@{one}.{two}.{three}",
            f"uses: actions/checkout@v{one}.{two}.{three}",
            f"Chrome/{100 + one}.0.{three}.{two} Safari/537.36",
            f"Linux 6.{one}.0-{two}-generic",
            f"gpt-4o-2024-{1 + one % 12:02}-{1 + two % 28:02}",
            f"kernel 5.{one}.{two}-{three}.el9",
            f"date-version 20{one:02}.0{1 + one % 9}.{1 + two % 28:02}.{three}",
        )
    )


def address(rng: random.Random) -> str:
    ip, port = ipaddress.IPv4Address(rng.getrandbits(32)), rng.randrange(1_024, 65_536)
    six = ipaddress.IPv6Address(rng.getrandbits(128))
    return rng.choice(
        (
            f"connected {ip}:{port}",
            f"{ip} - - GET",
            f"[{six}]:{port} closed",
            f"listening on http://{ip}:{port}",
            f"10.0.{port % 256}.0/16 via {ip}",
            f"redis://{ip}:{port}/0",
            f"peer {ip}:{port} -> {ip}:{port}",
        )
    )


def unix_time(rng: random.Random) -> str:
    seconds = rng.randrange(1_500_000_000, 1_900_000_000)
    return rng.choice(
        (
            f"exp={seconds}",
            f'{{"ts": {seconds}{some(rng, DIGITS, 3)}}}',
            f"at {seconds}.{some(rng, DIGITS, 6)}",
            f"ns={seconds}{some(rng, DIGITS, 9)}",
            f"us {seconds}{some(rng, DIGITS, 6)} late",
            f"iat={seconds} nbf={seconds}",
        )
    )


def order(rng: random.Random) -> str:
    def digits(count: int) -> str:
        return some(rng, DIGITS, count)

    return rng.choice(
        (
            f"order 1{digits(2)}-{digits(7)}-{digits(7)}",
            f"invoice INV-{digits(4)}-{digits(6)}",
            f"order #{digits(10)}",
            f"PO {digits(8)} shipped",
            f"ticket 4{digits(6)}",
            f"sku {digits(3)}-{digits(5)}",
            f"case 00{digits(8)}",
            f"order {digits(12)}",
            f"RMA{digits(9)}",
            f"zip 0{digits(4)}-{digits(4)}",
        )
    )


def number(rng: random.Random) -> str:
    return rng.choice(
        (
            f"score={rng.random()}",
            f"loss {rng.gauss(0, 1):.8f}",
            f"delta={rng.uniform(0, 9):+.6f}",
            f"{rng.random() * 1e9:e}",
            f"lat={rng.uniform(-90, 90):.6f} lon={rng.uniform(-180, 180):.6f}",
            f"[{rng.random()}, {rng.random()}]",
            f"usd {rng.uniform(0, 1e6):,.2f}",
            f"{rng.randrange(10**9):,} rows",
            f"p99 0.{some(rng, DIGITS, 12)}",
        )
    )


def stream_id(rng: random.Random) -> str:
    ms = rng.randrange(1_600_000_000_000, 1_900_000_000_000)
    return rng.choice(
        (
            f"XREAD after {ms}-{rng.randrange(99)}",
            f'["{ms}-0", "{ms + 1}-0"]',
            f"last-id {ms}-{rng.randrange(999)}",
            f"Last-Event-ID: {some(rng, HEX, 8)}-{rng.randrange(9_999)}",
            f"id: {some(rng, HEX, 8)}-{rng.randrange(99)}",
            f"reset from {some(rng, DIGITS, 8)}-{rng.randrange(999)}",
        )
    )


def token_counts(rng: random.Random) -> str:
    one, two = rng.randrange(200_000), rng.randrange(200_000)
    return rng.choice(
        (
            f"prompt_tokens={one} completion_tokens={two}",
            f'{{"usage": {{"total_tokens": {one}, "cached_tokens": {two}}}}}',
            f"max_tokens: {one}",
            f"token_count={one} tokens_per_second={two / 7:.1f}",
            f"tokens: {one}/{two}",
            f"time_to_first_token={two / 1000}",
            f'{{"max_completion_tokens": {one}, "token": "the"}}',
            f"tokens remaining {one}, reset in {two % 60}s",
        )
    )


def hashes(rng: random.Random) -> str:
    return rng.choice(
        (
            f"commit {some(rng, HEX, 40)}",
            f"sha256:{some(rng, HEX, 64)}",
            f"etag {some(rng, HEX, 32)}",
            f"cache_key={some(rng, HEX, 64)}",
            f"image@sha256:{some(rng, HEX, 64)}",
            f"at 0x{some(rng, HEX, 16)}",
            f"md5 {some(rng, HEX, 32)}  file.bin",
            f"blob {base64.b64encode(rng.randbytes(30)).decode()}",
            f"merge {some(rng, HEX, 7)}..{some(rng, HEX, 7)}",
        )
    )


def not_a_card(rng: random.Random) -> str:
    prefix, length = rng.choice(CARD_RANGES)
    digits = prefix + some(rng, DIGITS, length - len(prefix))
    if is_luhn(digits):
        digits = digits[:-1] + str((int(digits[-1]) + 5) % 10)
    grouped = " ".join(digits[at : at + 4] for at in range(0, length, 4))
    return rng.choice((f"id {digits}", f'{{"object": {digits}}}', f"counter {grouped}", f"seq={digits} ok"))


def names(rng: random.Random) -> str:
    words = "-".join(rng.choice(WORDS) for _ in range(4))
    return rng.choice(
        (
            f"task-{words} finished",
            f"disk-{words}-{rng.randrange(99)} full",
            f"pod/headgate-{some(rng, HEX, 9)}-{some(rng, HEX, 5)} Ready",
            f"hg_{words.replace('-', '_')} = 4",
            f"hf_{words.replace('-', '_')} is set",
            f"sk-{words}",
            f"module risk-{words} loaded",
            f"s3://bucket/{words}/part-0000{rng.randrange(9)}-of-00010",
            f"@pytest.fixture in {words}.py",
            f"key={words}",
            f"headgate:stream:{words}:log",
        )
    )


def prose(rng: random.Random) -> str:
    return rng.choice(
        (
            "Bearer authentication is required",
            "basic configuration loaded",
            "bearer token missing in the request",
            "invalid token: unexpected end of input",
            "the password is never logged",
            "Basic OpenAI compatible endpoint",
            "secret rotation finished",
            "no api key for target openai",
            "token expired; refresh it",
            "token: '<|endoftext|>' ends the answer",
            "secret: mounted",
            "api_key is not set",
            "password=None user=None",
            '{"api_key": null, "password": null}',
            "Authorization header is malformed",
            "WWW-Authenticate: Bearer",
            "cookies are off",
            "the phone rang twice",
            "call me later",
            "contact us @ the desk",
            "a @ b, c @ d",
            "meet @noon",
            "@headgate please look",
        )
    ) + rng.choice(("", "", f" ({rng.randrange(99)} ms)", f" after {rng.randrange(9)} attempts"))


def access_log(rng: random.Random) -> str:
    when, size, status = moment(rng), rng.randrange(10_000_000), rng.choice((200, 201, 204, 404, 429, 503))
    return rng.choice(
        (
            f'127.0.0.1 - - [{when:%d/%b/%Y:%H:%M:%S} +0000] "GET /v1/stages HTTP/1.1" {status} {size}',
            f'INFO: 10.1.2.3:{rng.randrange(1024, 65536)} - "POST /v1/chat/completions HTTP/1.1" {status}',
            f"{when:%H:%M:%S.%f} POST /v1/streams {status} {size}b {rng.random():.3f}s",
            f'"GET / HTTP/2" {status} {rng.randrange(100, 999)} {rng.randrange(1000, 9999)}',
        )
    )


def traceback_line(rng: random.Random) -> str:
    return rng.choice(
        (
            f'  File "/srv/headgate/domain/{rng.choice(WORDS)}.py", line {rng.randrange(400)}, in open',
            f"TimeoutError: deadline of {rng.random() * 30:.3f} s",
            f"KeyError: {rng.randrange(10**8)}",
            f"<Task finished name='Task-{rng.randrange(10**5)}' coro=<run()>>",
            f"redis.exceptions.ResponseError: WRONGTYPE at line {rng.randrange(99)}",
            f"object at 0x7f{some(rng, HEX, 10)}",
            f"RuntimeError: expected {rng.randrange(10**6)} got {rng.randrange(10**6)}",
        )
    )


def counts(rng: random.Random) -> str:
    def one(top: int) -> int:
        return rng.randrange(top)

    return rng.choice(
        (
            f"sizes [{one(9999)}, {one(9999)}, {one(99999)}]",
            f"rows {one(10**6)} of {one(10**7)}",
            f"cpu {one(99)} {one(99)} {one(99)} {one(99)}",
            f"histogram {' '.join(str(one(100)) for _ in range(8))}",
            f"{one(59):02}:{one(59):02}:{one(59):02}.{one(999):03} elapsed",
            f"grid {one(999)}x{one(999)}x{one(999)}",
            f"range {one(9999)}-{one(9999)}",
            f"page {one(99)}/{one(999)}",
            f"rss {one(10**6)} kB vsz {one(10**7)} kB",
            f"diff +{one(10**4)} -{one(10**4)}",
            f"batch 0{one(99)} step 00{one(999)}/{one(9999)}",
        )
    )


def codes(rng: random.Random) -> str:
    def digits(count: int) -> str:
        return some(rng, DIGITS, count)

    pairs = " ".join(some(rng, HEX, 2) for _ in range(16))
    return rng.choice(
        (
            f"isbn 978-0-{digits(3)}-{digits(5)}-{digits(1)}",
            f"mac {':'.join(some(rng, HEX, 2) for _ in range(6))}",
            f"00000010  {pairs}",
            f"color #{some(rng, HEX, 6)}",
            f"ean 0{digits(12)}",
            f"icon@{rng.choice('23')}x.png 200",
            f"cron 0 {digits(1)} * * 1-5",
            f"doi 10.{digits(4)}/{some(rng, ALNUM, 8)}",
            f"uid {digits(4)} gid {digits(4)}",
            f"errno {digits(3)}",
            f"cursor {base64.b64encode(rng.randbytes(12)).decode()}",
            f"port {digits(4)}/tcp",
        )
    )


Maker = Callable[[random.Random], str]
STRICT: dict[str, Maker] = {"iso date": iso_date, "uuid": uuid_line, "trace id": trace_id, "version": version}
OTHERS: dict[str, Maker] = {
    "ip and port": address,
    "unix time": unix_time,
    "order number": order,
    "number": number,
    "stream id": stream_id,
    "token counts": token_counts,
    "hash": hashes,
    "not a card": not_a_card,
    "name": names,
    "prose": prose,
    "access log": access_log,
    "traceback": traceback_line,
    "counts": counts,
    "codes": codes,
}
