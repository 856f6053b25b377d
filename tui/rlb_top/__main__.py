"""`python -m rlb_top`."""

from __future__ import annotations

import sys

from rlb_top.cli import main

if __name__ == "__main__":
    sys.exit(main())
