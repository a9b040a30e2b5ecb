"""What is charged when attempts fail: the answer, once, as its last target counted it (R7, L4)."""

import pytest

from adapters.providers.demo_scripts import Script, text_pieces
from domain.delta import Delta, Usage
from domain.errors import ProviderTimeoutError
from domain.model import Complete
from domain.services.rescue import GO_ON
from tests.domain.parts import TEXT, House, ask, context, read_all

LIMIT = 10_000
PIECES = text_pieces(TEXT)
NOTHING = Script(error=ProviderTimeoutError)
HALF = Script((Delta("one", usage=Usage(3_000, 1)), *PIECES[1:]), error=ProviderTimeoutError, error_at=2)
WHOLE = Script(PIECES)
UNCOUNTED = Script((*PIECES, Delta(finish_reason="stop")), finish_reason=None)
ONE_TWO_AND_GO_ON = 1 + 2 + len(GO_ON.split())


@pytest.mark.parametrize(
    ("first", "last", "tokens"),
    [
        (NOTHING, WHOLE, 1 + len(PIECES)),
        (HALF, WHOLE, ONE_TWO_AND_GO_ON + len(PIECES)),
        (HALF, UNCOUNTED, len(TEXT) // 4),
    ],
    ids=["failover", "rescue", "rescue that nobody counted"],
)
async def test_failed_attempts_are_not_billed_r7(first: Script, last: Script, tokens: int) -> None:
    scripts = {"first": first, "last": last}
    house = House(scripts=scripts, routes={"fast": ("p/first", "p/last")}, tokens_per_minute=LIMIT)
    service = house.build()
    attachment = await service.open(ask("fast", max_tokens=5_000), context())
    assert isinstance((await read_all(attachment))[-1], Complete)
    attachment.close()
    await house.clock.advance(0)
    (record,) = house.recorder.records
    assert (record.target, record.attempts) == ("p/last", 2)
    again = await service.open(ask("p/ok", max_tokens=1), context())
    assert again.verdict is not None
    assert again.verdict.tokens is not None
    assert again.verdict.tokens.remaining == LIMIT - tokens - 1
    again.close()
    await house.clock.advance(0)
