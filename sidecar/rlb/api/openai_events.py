"""The OpenAI streaming format, as vLLM and others send it: from chunks to token requests."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rlb.domain.draft import DraftMetadata, TokenRequest, refusal
from rlb.domain.message import Role
from rlb.errors import InvalidMessageError

DONE = b"[DONE]"

_ROLES: dict[str, Role] = {"assistant": "assistant", "user": "user", "system": "system"}


class _Delta(BaseModel):
    model_config = ConfigDict(extra="ignore")

    content: str | None = None
    role: str | None = None


class _Choice(BaseModel):
    model_config = ConfigDict(extra="ignore")

    index: int = 0
    delta: _Delta | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Chunk(BaseModel):
    """A chat.completion.chunk (`delta`) or a text_completion (`text`); other members are not needed here."""

    model_config = ConfigDict(extra="ignore")

    choices: list[_Choice] = []
    model: Annotated[str, Field(max_length=256)] | None = None
    error: Any = None


class OpenAiEvents:
    """Turns the events of one generation into messages, and ends it once."""

    def __init__(self, session_id: str, model_id: str, requested_at: int | None = None) -> None:
        self.is_complete = False
        self._session_id = session_id
        self._model_id = model_id
        self._requested_at = requested_at
        self._role: Role = "assistant"

    def message(self, event: bytes) -> TokenRequest | None:
        """The message that an event makes; None for one that carries neither text nor an end.

        Raises:
            InvalidJsonError, InvalidMessageError: it is not a chunk, or of another choice than the first.
        """
        if event == DONE:
            return self.end("stop")
        try:
            chunk = _Chunk.model_validate_json(event)
        except ValidationError as error:
            raise refusal(error) from None
        if chunk.error is not None:
            return self.end("error")
        if not chunk.choices:
            return None
        choice = chunk.choices[0]
        if choice.index != 0 or len(chunk.choices) > 1:
            raise InvalidMessageError("choices: expected one choice a generation (n=1)")
        return self._token(choice, chunk.model)

    def end(self, reason: str) -> TokenRequest | None:
        """The message that ends the generation; None if it has ended."""
        return None if self.is_complete else self._request("", reason, None)

    def _token(self, choice: _Choice, model: str | None) -> TokenRequest | None:
        text = choice.text
        if choice.delta is not None:
            text = choice.delta.content
            self._role = _ROLES.get(choice.delta.role or "", self._role)
        # Some servers send an empty reason on every chunk but the last.
        finish_reason = choice.finish_reason or None
        if not text and finish_reason is None:
            return None
        if self.is_complete:
            raise InvalidMessageError("choices: the generation has ended already")
        return self._request(text or "", finish_reason, model)

    def _request(self, token: str, complete: str | None, model: str | None) -> TokenRequest:
        try:
            message = TokenRequest(
                session_id=self._session_id,
                model_id=self._model_id,
                token=token,
                role=self._role,
                complete=complete,
                metadata=DraftMetadata(model=model) if model is not None else None,
                requested_at=self._requested_at,
            )
        except ValidationError as error:
            raise refusal(error) from None
        # Not before it is known to be good: a generation whose last chunk is refused still has to be ended.
        self.is_complete = complete is not None
        self._requested_at = None  # belongs to the first message
        return message
