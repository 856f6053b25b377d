"""rlb-top: the terminal monitor."""
