"""The loop and its mathematics, and the algorithms as named presets of one configuration."""
