"""What a search and a sweep both need: a journal of runs, and the processes that make runs side by side."""
