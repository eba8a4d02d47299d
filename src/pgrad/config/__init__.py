"""Every setting: Python argument, command-line flag and TOML key at once; all checks of arguments."""
