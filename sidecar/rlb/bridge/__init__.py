"""The use cases: append, tail, groups, dead letters, operations on streams."""
