"""Producing, tailing and managing streams, through real processes and a real sidecar."""

from __future__ import annotations

import signal
import subprocess

import pytest

from tests.cli.conftest import Sidecar
from tests.cli.processes import Running

MODEL = "meta-llama/Llama-3.1-8B-Instruct"
TEXT = "Hello, world!\n  Two lines, naïve 日本語.\n"
EVENTS = (
    'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
    'data: {"choices":[{"delta":{"content":"Hel"}}],"model":"x"}\n\n'
    'data: {"choices":[{"delta":{"content":"lo"},"finish_reason":"length"}]}\n\n'
    "data: [DONE]\n\n"
)


def stream(session: str, model: str = MODEL) -> tuple[str, ...]:
    return ("-s", session, "-m", model)


def test_text_comes_out_as_it_went_in(sidecar: Sidecar, session: str) -> None:
    """Produced text is tailed character for character, and the summary says where it stands."""
    produced = sidecar.rlb("produce", *stream(session), stdin=TEXT).good()
    assert f"messages to {session} {MODEL} in " in produced.out
    assert sidecar.rlb("tail", *stream(session)).good().out == TEXT


def test_ndjson_makes_several_generations(sidecar: Sidecar, session: str) -> None:
    """Each `complete` ends a generation; acks are printed one a message; the last one ends as the options say."""
    lines = '{"token":"a"}\n{"token":"b","complete":"length"}\n{"token":"c"}'
    acks = sidecar.rlb("produce", *stream(session), "--json", "--finish-reason", "tool", stdin=lines).good().lines
    assert [ack["sequence"] for ack in acks] == [1, 2, 3, 4, 5]
    assert all(ack["durability"] == "written" for ack in acks)
    found = sidecar.rlb("tail", *stream(session), "--no-follow", "--json").good().lines
    assert [line["entryId"] for line in found] == [ack["entryId"] for ack in acks]
    messages = [line["message"] for line in found]
    assert [message["token"] for message in messages] == ["a", "b", "", "c", ""]
    assert [message["payload"].get("finishReason") for message in messages] == [None, None, "length", None, "tool"]


def test_an_event_stream_is_recognised(sidecar: Sidecar, session: str) -> None:
    """What vLLM sends becomes messages with the finish reason that it carried."""
    assert "2 messages" in sidecar.rlb("produce", *stream(session), stdin=EVENTS).good().out
    tailed = sidecar.rlb("tail", *stream(session)).good()
    assert tailed.out == "Hello"
    assert tailed.err == "rlb: the generation ended with 'length'\n"


def test_a_format_can_be_imposed(sidecar: Sidecar, session: str) -> None:
    """With `--format text` even an event stream is text."""
    sidecar.rlb("produce", *stream(session), "--format", "text", stdin=EVENTS).good()
    assert sidecar.rlb("tail", *stream(session)).good().out == EVENTS


def test_a_bad_line_ends_the_generation_with_an_error(sidecar: Sidecar, session: str) -> None:
    """What came before stands, readers are told that there is no more, and the line is named."""
    produced = sidecar.rlb("produce", *stream(session), stdin='{"token":"a"}\nnope\n')
    assert (produced.code, produced.out) == (1, "")
    assert produced.err == "rlb: standard input: line 2: not JSON\n"
    tailed = sidecar.rlb("tail", *stream(session)).good()
    assert (tailed.out, tailed.err) == ("a", "rlb: the generation ended with 'error'\n")


def test_nothing_in_is_nothing_written(sidecar: Sidecar, session: str) -> None:
    """An empty input is a failure, and makes no stream."""
    assert sidecar.rlb("produce", *stream(session)).code == 1
    assert sidecar.rlb("info", *stream(session)).code == 1


def test_tokens_are_there_while_their_writer_goes_on(sidecar: Sidecar, session: str) -> None:
    """A tail that waits for the stream gets each word as it is typed, not at the end."""
    env = {"RLB_SOCKET__PATH": str(sidecar.socket)}
    with (
        Running("tail", *stream(session), "--wait", "20", "--json", env=env) as tail,
        Running("produce", *stream(session), env=env) as produce,
    ):
        assert produce.process.stdin is not None
        for word in ("one", "two"):
            produce.process.stdin.write(f"{word}\n")
            produce.process.stdin.flush()
            shown = ""
            while word not in shown:
                line = tail.read_line()
                assert line, tail.end().err
                shown += line
        assert produce.process.poll() is None
        produce.end().good()
        assert tail.end().good().out.endswith('"finishReason":"stop"}}}\n')


def test_a_tail_may_begin_and_end_anywhere(sidecar: Sidecar, session: str) -> None:
    """`--from` an entry goes on behind it; `--no-follow` ends at what is there, even inside of a generation."""
    lines = "".join(f'{{"token":"{token}"}}\n' for token in "abcd")
    acks = sidecar.rlb("produce", *stream(session), "--json", stdin=lines).good().lines
    assert sidecar.rlb("tail", *stream(session), "--from", acks[1]["entryId"]).good().out == "cd"
    assert sidecar.rlb("tail", *stream(session), "--from", acks[-1]["entryId"], "--no-follow").good().out == ""
    assert sidecar.rlb("tail", *stream(session), "--from", "$", "--no-follow").good().out == ""


def test_a_followed_tail_goes_on_with_the_next_generation(sidecar: Sidecar, session: str) -> None:
    """`--follow` ends with Ctrl-C only."""
    env = {"RLB_SOCKET__PATH": str(sidecar.socket)}
    with Running("tail", *stream(session), "--follow", env=env) as tail:
        assert tail.process.stdout is not None
        for text in ("first\n", "second\n"):
            sidecar.rlb("produce", *stream(session), stdin=text).good()
            assert tail.read_line() == text
        ended = tail.end(signal.SIGINT)
    assert (ended.code, ended.err) == (130, "")


def test_what_is_no_longer_there_is_told(sidecar: Sidecar, session: str) -> None:
    """Entries that were trimmed are a gap, on standard error."""
    lines = "".join(f'{{"token":"{token}"}}\n' for token in "abcd")
    sidecar.rlb("produce", *stream(session), stdin=lines).good()
    assert sidecar.rlb("trim", *stream(session), "--max-length", "2").good().out == "3 entries removed\n"
    tailed = sidecar.rlb("tail", *stream(session)).good()
    assert tailed.out == "d"
    assert tailed.err.startswith("rlb: gap: 3 messages between 0-0 and ")


def test_a_reader_that_leaves_is_no_fault(sidecar: Sidecar, session: str) -> None:
    """`rlb tail | head` ends without a complaint."""
    sidecar.rlb("produce", *stream(session), stdin=" longerwordshere" * 9_000).good()
    env = {"RLB_SOCKET__PATH": str(sidecar.socket)}
    with Running("tail", *stream(session), env=env, stdout=subprocess.PIPE) as tail:
        assert tail.process.stdout is not None
        assert tail.process.stdout.read(7) == " longer"
        tail.process.stdout.close()
        assert tail.process.wait(30) == 1
        assert tail.process.stderr is not None
        assert tail.process.stderr.read() == ""


def test_streams_are_listed(sidecar: Sidecar, session: str) -> None:
    """As a table with whole names, and as JSON as the API has it; by model, in order, up to a limit."""
    model = f"org/{session}:8b"
    for number, words in enumerate(("a b c d e f", "a b", "a b c d")):
        sidecar.rlb("produce", *stream(f"{session}-{number}", model), stdin=words).good()
    infos = sidecar.rlb("streams", "--model", model, "--sort", "length", "--json").good().json
    assert [info["sessionId"] for info in infos] == [f"{session}-{number}" for number in (0, 2, 1)]
    assert infos[0]["length"] == 7
    assert infos[0]["groups"] == []
    shown = sidecar.rlb("streams", "--model", model, "--limit", "2").good()
    rows = [line.split() for line in shown.out.splitlines()]
    assert rows[0][:3] == ["session", "model", "length"]
    assert [row[:3] for row in rows[2:]] == [[f"{session}-0", model, "7"], [f"{session}-1", model, "3"]]
    assert shown.err == "rlb: there are more than 2; --limit shows them\n"
    none = sidecar.rlb("streams", "--model", "no/such").good()
    assert (none.out, none.err) == ("", "rlb: no streams of no/such\n")


def test_a_stream_is_shown_with_its_groups(sidecar: Sidecar, session: str) -> None:
    """A new group lags by all that is there, is made once, and is seen by `groups` and `info`."""
    sidecar.rlb("produce", *stream(session), stdin="a b c").good()
    assert sidecar.rlb("groups", *stream(session)).good().err == "rlb: no groups; `rlb groups create` makes one\n"
    assert sidecar.rlb("groups", "create", "indexer", *stream(session)).good().out == "indexer: made\n"
    assert sidecar.rlb("groups", "create", "indexer", *stream(session), "--json").good().json == {"created": False}
    assert sidecar.rlb("groups", "create", "late", *stream(session), "--start", "$").good().code == 0
    groups = sidecar.rlb("groups", *stream(session), "--json").good().json
    assert [(group["group"], group["lag"]) for group in groups] == [("indexer", 4), ("late", 0)]
    assert ["indexer", "ok", "4"] in [
        line.split()[:3] for line in sidecar.rlb("groups", *stream(session)).out.splitlines()
    ]
    info = sidecar.rlb("info", *stream(session), "--json").good().json
    assert (info["sessionId"], info["modelId"], info["complete"]) == (session, MODEL, True)
    shown = sidecar.rlb("info", *stream(session)).good().out
    assert f"llm:stream:{session}:{MODEL}" in shown
    assert "4, 4 ever added, 0 trimmed" in shown
    assert "indexer" in shown


@pytest.mark.parametrize("bound", [("--max-length", "0"), ("--older-than", "1ms")])
def test_a_stream_is_trimmed(sidecar: Sidecar, session: str, bound: tuple[str, str]) -> None:
    """By number or by age."""
    sidecar.rlb("produce", *stream(session), stdin="a b c").good()
    assert sidecar.rlb("trim", *stream(session), *bound, "--json").good().json == {"removed": 4}


def test_a_stream_is_deleted_for_sure_only(sidecar: Sidecar, session: str) -> None:
    """Without a terminal to ask in, `--yes` is needed; what is gone is told apart from what never was."""
    sidecar.rlb("produce", *stream(session), stdin="a b c").good()
    refused = sidecar.rlb("delete", *stream(session))
    assert (refused.code, refused.err) == (
        2,
        "rlb: usage: nobody is there to be asked: give --yes; see `rlb delete --help`\n",
    )
    assert sidecar.rlb("delete", *stream(session), "--yes").good().out == "deleted\n"
    again = sidecar.rlb("delete", *stream(session), "--yes")
    assert again.code == 1
    assert again.err.startswith(("rlb: stream_gone: ", "rlb: stream_not_found: "))
