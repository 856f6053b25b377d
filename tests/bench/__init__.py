"""Benchmarks: `make bench`. Ratios against a peer in the same run, as machines differ and are shared."""
