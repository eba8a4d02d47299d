"""Experiments that come with pgrad: a question, the sweep that asks it, and how its answer is read from the data."""
