"""Environments: compiled ones, one file each; the registry and Gymnasium. The names below are for writing one's own."""

from pgrad.envs.spaces import Box, Discrete, MultiDiscrete
from pgrad.kernels.elementary import sin_cos
from pgrad.kernels.jit import both as helper
from pgrad.kernels.random import normal, uniform

__all__ = ["Box", "Discrete", "MultiDiscrete", "helper", "normal", "sin_cos", "uniform"]
