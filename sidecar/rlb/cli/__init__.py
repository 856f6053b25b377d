"""The command line: runs a command, and turns whatever it raises into one line and an exit code."""

from __future__ import annotations

import sys
import traceback
from types import TracebackType

from rlb.cli import probe

__all__ = ["main"]


def main() -> None:
    """Entry point of `rlb`."""
    sys.excepthook = _report_fault
    question = probe.question_of(sys.argv[1:])
    sys.exit(probe.answer(question) if question is not None else _run_command())


def _run_command() -> int:
    # Imported here, so that a probe does not wait for it.
    import typer
    from typer.main import get_command

    from rlb.cli.app import app
    from rlb.cli.failures import failure_of
    from rlb.errors import RlbError

    try:
        code = get_command(app).main(prog_name="rlb", standalone_mode=False)
    except (RlbError, typer.TyperException, typer.Abort) as error:
        failure = failure_of(error)
        print(failure.line, file=sys.stderr, flush=True)
        return failure.exit_code
    return code if isinstance(code, int) else 0


def _report_fault(kind: type[BaseException], _: BaseException, trace: TracebackType | None) -> None:
    """A fault of our own: where it is, so that it can be reported, without its text, which may quote a token."""
    frames = [frame for frame in traceback.extract_tb(trace) if "/rlb/" in frame.filename]
    where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    print(f"rlb: internal: a fault of rlb itself ({kind.__name__}{where}); please report it", file=sys.stderr)
