"""`rlb-top`: reads the arguments, reaches the source, and only then takes the screen over."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from rlb._version import __version__
from rlb_top.arguments import USAGE, Arguments, UsageError, parse

if TYPE_CHECKING:
    from rlb_top.source import SnapshotSource
    from rlb_top.sources.opening import OpenSource

FAILED = 1
UNREACHABLE = 69
"""EX_UNAVAILABLE of sysexits.h."""
BAD_SETTINGS = 78
"""EX_CONFIG of sysexits.h."""
INTERRUPTED = 130

COLLECTED_AT = (250_000, 20, 100)
"""How many objects have to be made before the garbage collector looks for what is left of them. A snapshot of 10,000
streams is some 110,000 objects, which go without it; and while libraries are loaded nothing is to be found."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `rlb-top`; gives the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    arguments = parse(argv, version=__version__)
    gc.set_threshold(*COLLECTED_AT)
    # Imported here, so that --help and a mistyped option do not wait for it.
    from rlb.errors import RlbError, SettingsError
    from rlb_top.source import SourceLostError
    from rlb_top.sources.opening import next_step, open_source
    from rlb_top.sources.recording_file import RecordingError

    # What the parts log would run over the screen; what matters of it is shown there.
    logging.getLogger().addHandler(logging.NullHandler())
    work = _print if arguments.once else _nothing if arguments.serve else _show
    try:
        code = asyncio.run(_with(open_source(arguments), arguments, work))
        return _serve(arguments, argv) if arguments.serve else code
    except SettingsError as error:
        return _fail(f"bad setting: {error}", BAD_SETTINGS)
    except UsageError as error:
        return _fail(f"usage: {error}; see `rlb-top --help`", USAGE)
    except SourceLostError as error:
        return _fail(f"unreachable: {error}; {next_step(arguments)}", UNREACHABLE)
    except (RecordingError, RlbError) as error:
        return _fail(str(error), FAILED)
    except BrokenPipeError:
        # Whoever reads what --once prints has seen enough.
        sys.stderr.close()
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


async def _with(
    source: OpenSource, arguments: Arguments, work: Callable[[OpenSource, Arguments], Awaitable[int]]
) -> int:
    """The result of `work` on a source that could be reached."""
    async with AsyncExitStack() as at_exit:
        at_exit.push_async_callback(source.close)
        await source.connect()
        return await work(source, arguments)


async def _nothing(source: OpenSource, arguments: Arguments) -> int:
    """The browser's processes have sources of their own."""
    del source, arguments
    return 0


async def _print(source: OpenSource, arguments: Arguments) -> int:
    from rlb_top.once import print_once

    return await print_once(source, arguments)


async def _show(source: OpenSource, arguments: Arguments) -> int:
    from rlb_top.app import RlbTopApp
    from rlb_top.preferences import load_preferences, preferences_path
    from rlb_top.sources.opening import asked_sort
    from rlb_top.sources.recorded import Recorded
    from rlb_top.sources.recording_file import RecordingWriter

    path = preferences_path()
    preferences, note = load_preferences(path)
    if arguments.mode is not None:
        preferences = preferences.model_copy(update={"mode": arguments.mode})
    if arguments.sort is not None:
        preferences = preferences.with_sort(preferences.mode, asked_sort(arguments.sort, preferences.mode))
    interval_s = arguments.interval_s or preferences.interval_s
    if interval_s is not None and source.kind != "recording":
        await source.set_interval(interval_s)
    shown: SnapshotSource = source
    if arguments.record is not None:
        shown = Recorded(source, RecordingWriter(arguments.record, source.name))
    app = RlbTopApp(
        shown,
        preferences=preferences,
        preferences_path=path,
        notes=[note] if note is not None else [],
        read_only=arguments.read_only,
    )
    # What has been loaded stays; it need not be looked through again.
    gc.freeze()
    try:
        code = await app.run_async()
    finally:
        await shown.close()
    return code if isinstance(code, int) else app.return_code or 0


def _serve(arguments: Arguments, argv: Sequence[str]) -> int:
    from rlb_top.serving import serve

    return serve(argv, arguments.port)


def _fail(text: str, code: int) -> int:
    print(f"rlb-top: {' '.join(text.split())}", file=sys.stderr, flush=True)
    return code
