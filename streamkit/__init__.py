"""How any funding stream runs: asked, supplied with facts, noticed, decided. Knows no stream.

A stream's folder holds its law; this holds the one process every stream shares, so that receipts, replays and parking
are the same for all of them.
"""
