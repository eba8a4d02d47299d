"""`pgrad check-env`: is an environment sound, and why not."""
