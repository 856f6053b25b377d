"""The oracle: random histories of streams on real servers, whose true lag and losses are counted one by one.

Nothing here shares code with what it judges, but for the shape of StreamInfo.
"""
