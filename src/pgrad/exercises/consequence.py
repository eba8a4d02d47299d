"""What an estimator's mistake comes to on a random problem: how far off its mean is, or how much noisier it is."""

import numpy as np

from pgrad import exact
from pgrad.exact.mdp import Floats
from pgrad.exact.trajectories import EstimatorFunction
from pgrad.verify.diagnosis import angle_between
from pgrad.verify.zoo import Form

SIZE = 2  # trajectories in a batch: seven are possible, so that there are 49 batches
EXACT = 1e-6  # relative error of a mean that is right
PARALLEL = 0.05  # degrees


def consequence(estimate: EstimatorFunction, rng: np.random.Generator) -> str:
    """Return it in a sentence, from the estimator's exact mean and covariance over all batches."""
    mdp = exact.layered(2, 2, int(rng.integers(2**31)), 0.8)
    policy = exact.Tabular(mdp.num_states, mdp.num_actions)(rng.normal(size=mdp.num_states * mdp.num_actions))
    truth = exact.solve(mdp, policy).gradient
    found, best = exact.moments(mdp, policy, estimate, SIZE), exact.moments(mdp, policy, Form(), SIZE)
    off = float(np.linalg.norm(found.mean - truth) / np.linalg.norm(truth))
    where = f"in batches of {SIZE} on a random problem"
    if off > EXACT:
        return f"{where} it is on average off by {off:.0%} of ∇J{turn(found.mean, truth)}"
    times = float(np.trace(found.covariance) / np.trace(best.covariance))
    return f"{where} it is right on average, with {times:.2g} times the variance of rewards-to-go"


def turn(mean: Floats, truth: Floats) -> str:
    """Return the angle in words."""
    angle = angle_between(mean, truth)
    if np.isnan(angle):
        return ": nothing of it is left"
    if angle < PARALLEL:
        return f", along it but {np.linalg.norm(mean) / np.linalg.norm(truth):.3g} times as long"
    return f" and points {angle:.3g}° away"
