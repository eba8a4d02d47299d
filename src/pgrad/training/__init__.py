"""`train`: its arguments, many seeds on threads, the loop of one seed, what learns in it, the result."""
