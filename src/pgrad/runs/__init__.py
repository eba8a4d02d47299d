"""A run on disk: its folder, its policies."""
