"""Whatever order the bridge tells things in: each sampled generation has one span, and each span ends once."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from rlb.bridge.ticket import Producer, Ticket
from rlb.domain.entry_id import EntryId
from rlb.domain.stream_key import stream_key
from rlb.errors import FencedError, RedisUnavailableError
from rlb.telemetry.open_generations import OpenGenerations
from rlb.telemetry.spans import Spans, destination
from rlb.telemetry.spans_flush import Writes
from tests.support.fuzz import examples
from tests.support.tokens import draft

STREAMS = st.sampled_from(["a", "b"])
PRODUCERS = st.integers(0, 2)
STEPS = st.one_of(
    st.tuples(st.just("admit"), STREAMS, PRODUCERS, st.booleans(), st.sampled_from([None, None, "stop", "error"])),
    st.tuples(st.just("send")),
    st.tuples(st.just("flush")),
    st.tuples(st.just("answer"), st.booleans()),
    st.tuples(st.just("lose"), STREAMS, PRODUCERS),
    st.tuples(st.just("leave"), PRODUCERS),
    st.tuples(st.just("sweep"), st.booleans()),
)


class Told:
    """A tracer's parts, told what a test comes up with."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        spans = Spans(provider.get_tracer("rlb"), destination("llm:stream", None))
        self.writes = Writes(spans)
        self.generations = OpenGenerations(
            spans, self.writes, provider="p", inject="every", max_open=100, abandoned_s=1000.0
        )
        self.producers: list[Producer | None] = [Producer(fences=True), Producer(fences=True), None]
        self.queued: list[Ticket] = []
        self.sent: list[Ticket] = []
        self.traced: set[Any] = set()
        self.messages = 0

    def admit(self, session: str, producer: int, opens: bool, complete: str | None) -> None:
        stream = stream_key("llm:stream", session, "m")
        who = self.producers[producer]
        ticket = Ticket(stream, draft("t", complete=complete), who, 0.0, lambda _: None, lambda _: None)
        ticket.opens = opens and who is not None
        if who is not None:
            who.open.add(stream.key)
        self.generations.admitted(ticket)
        assert ticket.trace is not None
        assert ticket.draft.traceparent is not None
        self.traced.add(ticket.draft.traceparent)
        self.queued.append(ticket)

    def send(self) -> None:
        if self.queued:
            ticket = self.queued.pop(0)
            assert ticket.trace is not None
            ticket.trace.sent(ticket)
            self.messages += 1
            self.sent.append(ticket)

    def flush(self) -> None:
        self.writes.leave(self.messages)
        self.messages = 0

    def answer(self, is_well: bool) -> None:
        if self.sent:
            ticket = self.sent.pop(0)
            assert ticket.trace is not None
            if is_well:
                ticket.entry_id = EntryId(1, 1)
            else:
                ticket.error = RedisUnavailableError("no")
            ticket.trace.settled(ticket)

    def lose(self, session: str, producer: int) -> None:
        if (who := self.producers[producer]) is not None:
            self.generations.lost(who, f"llm:stream:{session}:m", FencedError("no"))

    def leave(self, producer: int) -> None:
        if (who := self.producers[producer]) is not None:
            self.generations.left(who)

    def sweep(self, has_turned: bool) -> None:
        if has_turned:
            self.generations._turn_s = 0.0
        self.generations.sweep()


@examples(200)
@given(st.lists(STEPS, max_size=40))
def test_every_span_ends_once_in_any_order(steps: list[tuple[Any, ...]]) -> None:
    """At the end there is one span for each context that entries carry, and none is left under way."""
    told = Told()
    for name, *arguments in steps:
        getattr(told, name)(*arguments)
    while told.queued or told.sent:
        told.send()
        told.flush()
        told.answer(is_well=True)
    told.flush()
    told.generations.sweep()
    told.generations.close()
    spans = told.exporter.get_finished_spans()
    generations = [span.context.span_id for span in spans if span.name == "stream m" and span.context is not None]
    assert len(generations) == len(set(generations))
    assert {f"{span_id:016x}" for span_id in generations} == {context.split("-")[2] for context in told.traced}
    assert told.generations.count == 0
    assert told.generations._under_way == set()
