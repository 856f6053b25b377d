"""One generation as text, as it grows. It is content, so it is asked for only while this screen is shown."""

from __future__ import annotations

from textual import work
from textual.app import ComposeResult

from rlb.domain.snapshot import GenerationInfo
from rlb_top import format as fmt
from rlb_top.faults import words_of
from rlb_top.screens.base import MonitorScreen
from rlb_top.state import Picture, State
from rlb_top.widgets.facts import Fact, Facts
from rlb_top.widgets.tail_text import TailText


class GenerationScreen(MonitorScreen):
    """Facts from the snapshots, and the text from a tail of its own."""

    VIEW = "generations"

    def __init__(self, state: State, session_id: str, model_id: str) -> None:
        super().__init__(state)
        self._session_id, self._model_id = session_id, model_id
        self._ending = "being written"
        self.facts = Facts()
        self.text = TailText()

    def body(self) -> ComposeResult:
        yield self.facts
        yield self.text

    def on_mount(self) -> None:
        super().on_mount()
        self.text.focus()
        self._follow()

    def show(self, picture: Picture) -> None:
        self.facts.show(Fact("session", fmt.line(self._session_id), "bold"), self._facts(self._found(picture)))

    def said(self) -> str:
        return self._ending

    def _found(self, picture: Picture) -> GenerationInfo | None:
        if picture.snapshot is None:
            return None
        wanted = (self._session_id, self._model_id)
        return next((each for each in picture.snapshot.generations if (each.session_id, each.model_id) == wanted), None)

    def _facts(self, found: GenerationInfo | None) -> list[Fact]:
        facts = [Fact("model", fmt.line(self._model_id))]
        if found is None:
            return [*facts, Fact("state", "not in flight", "$quiet")]
        is_stalled = found.state == "stalled"
        return [
            *facts,
            Fact("state", found.state, "$severity-stalled bold" if is_stalled else "$severity-ok"),
            Fact("tokens", fmt.count(found.tokens)),
            Fact("tokens/s", fmt.rate(found.tokens_per_second)),
            Fact("last token", f"{fmt.duration(found.since_last_token_seconds)} ago"),
        ]

    @work(exclusive=True, group="tail")
    async def _follow(self) -> None:
        content = self.state.source.content
        if content is None:
            self.text.note("this source has no text to show: only a sidecar's socket has")
            self._ending = ""
            return
        try:
            async for piece in content.tail(self._session_id, self._model_id):
                self.text.add(piece)
                if piece.finish_reason is not None:
                    self._ending = f"ended: {piece.finish_reason}"
        except Exception as error:  # noqa: BLE001 - of whatever kind: see faults
            self.text.note(words_of(error))
            self._ending = "the text was lost"
        else:
            if not self._ending.startswith("ended"):
                self._ending = "ended"
        self.status_line.show(self.said())
