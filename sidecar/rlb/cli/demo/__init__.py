"""`rlb demo`: all of rlb on one screen, with traffic of its own."""
