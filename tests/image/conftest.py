"""The built image, for all tests here."""

from __future__ import annotations

from tests.support.built_image import image

__all__ = ["image"]
