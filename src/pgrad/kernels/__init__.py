"""Compiled code: multilayer perceptrons over lanes, optimisers, counter-based random numbers."""
