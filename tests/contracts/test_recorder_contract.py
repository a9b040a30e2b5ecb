"""The contract of the recorder port."""

from domain.delta import Dialect, Usage
from domain.model import CacheStatus, Outcome, RequestRecord
from tests.contracts.cases import OpenRecorder


def record(number: int, outcome: Outcome = Outcome.SERVED) -> RequestRecord:
    return RequestRecord(
        thread_id=f"thread-{number}",
        stream_id=f"stream-{number}",
        tenant="acme",
        door=Dialect.OPENAI,
        model="fast",
        target="p/m" if outcome is Outcome.SERVED else None,
        outcome=outcome,
        code=None if outcome is Outcome.SERVED else "queue_full",
        cache=CacheStatus.MISS,
        attempts=1,
        usage=Usage(1, 2) if outcome is Outcome.SERVED else None,
        first_event_seconds=0.1 if outcome is Outcome.SERVED else None,
        total_seconds=0.2,
    )


async def test_any_number_of_records_of_any_outcome_is_taken(open_recorder: OpenRecorder) -> None:
    async with open_recorder() as (recorder, _):
        for number in range(300):
            for outcome in Outcome:
                recorder.record(record(number, outcome))
