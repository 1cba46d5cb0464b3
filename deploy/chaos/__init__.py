"""Faults on purpose: a whole deployment of real processes is hurt in every way we know, then must be right again.

    python -m deploy.chaos --seed 1

Every process is our own child on 127.0.0.1, the load is bounded, and a seed gives the same faults again.
"""
