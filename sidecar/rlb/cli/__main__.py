"""`python -m rlb.cli` is `rlb`."""

from rlb.cli import main

main()
