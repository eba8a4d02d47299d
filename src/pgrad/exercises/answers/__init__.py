"""The exercises, a file each: what is asked, its mistakes, hints and solutions."""
