"""Returns, baselines, advantages, and the estimate of the policy gradient."""
