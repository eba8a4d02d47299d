"""Tuned settings: a TOML file for each environment, one for all others, and which of them a training takes."""
