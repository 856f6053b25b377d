"""Cuts text into word-like tokens as it arrives; put together again they are the text, character for character."""

from __future__ import annotations

import codecs
import re

LONGEST = 16
"""Characters of a token; what has no spaces is cut all the same."""

_IDEOGRAPH = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"

_TOKEN = re.compile(
    rf"[^\S\n]{{0,4}}[{_IDEOGRAPH}]"  # a language without spaces: a character each
    rf"|[^\S\n]{{0,4}}[^\W{_IDEOGRAPH}]{{1,{LONGEST}}}"  # a word, with the space before it, as tokenizers have it
    rf"|[^\S\n]{{0,4}}[^\w\s]{{1,4}}"
    rf"|\n{{1,{LONGEST}}}"
    rf"|[^\S\n]{{1,{LONGEST}}}"
)


class TokenCutter:
    """Takes bytes of UTF-8 in pieces of any size, gives tokens.

    What may still go on with the next piece is held back. Bytes that are not UTF-8 become replacement characters.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def feed(self, piece: bytes) -> list[str]:
        """The tokens that are complete."""
        self._held += self._decoder.decode(piece)
        tokens = cut(self._held)
        self._held = tokens.pop() if tokens else ""
        return tokens

    def pause(self) -> list[str]:
        """What was held back; the text has come to a halt, and its reader should not wait for the next word."""
        held, self._held = self._held, ""
        return [held] if held else []

    def finish(self) -> list[str]:
        """The last tokens; an unfinished character is one that is wrong."""
        self._held += self._decoder.decode(b"", final=True)
        tokens, self._held = cut(self._held), ""
        return tokens


def cut(text: str) -> list[str]:
    """The tokens of a text."""
    return _TOKEN.findall(text)
