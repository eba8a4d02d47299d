"""Sweeps: every setting of a grid on every seed, in a journal that an interrupted sweep goes on from."""
