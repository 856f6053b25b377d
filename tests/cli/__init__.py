"""Tests of the command line: its pure parts by tables and properties, its commands as real processes."""
