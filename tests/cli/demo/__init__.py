"""Tests of the demo: its traffic, what is counted and how it is shown; and the whole of it as a process."""
