"""rlb carries the tokens of language models from producers to consumers through Redis Streams."""

from rlb._version import __version__

__all__ = ["__version__"]
