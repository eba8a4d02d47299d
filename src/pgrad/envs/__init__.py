"""Compiled environments, one file each, and `make`. The names exported here are for writing your own."""

from pgrad.kernels.fast_math import sin_cos
from pgrad.kernels.jit import both as helper
from pgrad.kernels.random import normal, uniform
from pgrad.spaces import Box, Discrete, MultiDiscrete

__all__ = ["Box", "Discrete", "MultiDiscrete", "helper", "normal", "sin_cos", "uniform"]
