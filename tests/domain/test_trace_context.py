"""Trace contexts: what is read as one, what is passed on, and that anything else is no context at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from rlb.domain.trace_context import TraceContext, parse_trace_context, parse_trace_state
from tests.support.fuzz import examples

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
HEX = "0123456789abcdef"
IDS = st.tuples(
    st.text(HEX, min_size=32, max_size=32).filter(lambda text: text.strip("0")),
    st.text(HEX, min_size=16, max_size=16).filter(lambda text: text.strip("0")),
    st.integers(0, 255),
)


def test_a_context_is_read_with_its_state() -> None:
    """Ids, flags and state come out as they stand there."""
    context = parse_trace_context(PARENT, "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7")
    assert context == TraceContext(TRACE, SPAN, 1, "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7")
    assert context.is_sampled
    assert context.traceparent == PARENT


@examples(200)
@given(IDS)
def test_what_is_written_is_read_back(ids: tuple[str, str, int]) -> None:
    """Writing and reading are each other's inverse, with every flag."""
    context = TraceContext(*ids)
    assert parse_trace_context(context.traceparent) == context
    assert context.is_sampled == bool(ids[2] & 1)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "00-x",
        PARENT.upper(),
        PARENT[:-1],
        PARENT + "0",
        PARENT + "-more",
        f" {PARENT}",
        f"{PARENT}\n",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        PARENT.replace("0af", "\u0660af"),
    ],
    ids=repr,
)
def test_a_broken_context_is_none(text: str | None) -> None:
    """Anything that the standard does not allow is as if nothing had been sent."""
    assert parse_trace_context(text) is None


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    """The standard asks for it: ids and flags stay where they are, and what follows is left out."""
    for text in (f"01-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-what-comes-then"):
        assert parse_trace_context(text) == TraceContext(TRACE, SPAN, 1)


@pytest.mark.parametrize(
    ("text", "passed_on"),
    [
        ("a=1", "a=1"),
        ("a=1, b=2\t,,c=3", "a=1,b=2,c=3"),
        ("tenant@system=x:y;z", "tenant@system=x:y;z"),
        ("a=1,a=2", None),
        ("a", None),
        ("A=1", None),
        ("a=1,b", None),
        ("a=with=sign", None),
        ("a=\u00e9", None),
        (",".join(f"k{number}=1" for number in range(33)), None),
        ("a=" + "v" * 511, None),
        (",,", None),
        ("", None),
        (None, None),
    ],
    ids=repr,
)
def test_a_state_is_passed_on_whole_or_not_at_all(text: str | None, passed_on: str | None) -> None:
    """A member that breaks the rules spoils the whole state, but not the context."""
    assert parse_trace_state(text) == passed_on
    assert parse_trace_context(PARENT, text) == TraceContext(TRACE, SPAN, 1, passed_on)


@examples(300)
@given(st.one_of(st.text(max_size=60), IDS.map(lambda ids: TraceContext(*ids).traceparent)))
def test_nothing_is_a_context_that_opentelemetry_does_not_take_for_one(text: str) -> None:
    """Any text: what is read here, OpenTelemetry's own propagator reads the same."""
    ours = parse_trace_context(text)
    theirs = get_current_span(TraceContextTextMapPropagator().extract({"traceparent": text})).get_span_context()
    if ours is not None:
        assert (f"{theirs.trace_id:032x}", f"{theirs.span_id:016x}") == (ours.trace_id, ours.span_id)
        assert theirs.trace_flags.sampled == ours.is_sampled
