"""The monitor: which streams there are, what Redis says of them, and what follows from it."""
