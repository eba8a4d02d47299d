"""Environments: compiled ones, one file each; the registry and Gymnasium."""
