"""The built image as a fixture: built once for all of a test run's processes, as that takes half a minute."""

from __future__ import annotations

import fcntl
import os
import pickle
from pathlib import Path

import pytest

from tests.support.container import denied
from tests.support.image import Image, NoRegistryError, build


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The image of the Dockerfile; skips the test where it cannot be built."""
    if (reason := denied()) is not None:
        pytest.skip(reason)
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    found = _built_once(folder / "image")
    if isinstance(found, str):
        pytest.skip(f"the packages of the image are not to be had: {found}")
    return found


def _built_once(work: Path) -> Image | str:
    """The image, or why it could not be built; whoever comes first builds it, the others wait."""
    work.mkdir(exist_ok=True)
    result_path = work / "result"
    with (work / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if result_path.exists():
            result: Image | str = pickle.loads(result_path.read_bytes())
        else:
            try:
                result = build(work)
            except NoRegistryError as error:
                result = str(error)
            result_path.write_bytes(pickle.dumps(result))
    return result
