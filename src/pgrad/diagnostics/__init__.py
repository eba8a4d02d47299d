"""The gradient microscope: signal and noise of every estimator at a policy, on the same trajectories."""
