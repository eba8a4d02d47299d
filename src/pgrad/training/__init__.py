"""Training many seeds: learners, trainers, the session that runs them, the result."""
