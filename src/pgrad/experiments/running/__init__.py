"""What a search and a sweep both need: ranges, a journal of runs, and processes that make runs side by side."""
