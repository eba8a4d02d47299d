"""What acting needs beside the heads: errors that say what helps, and seeds for other generators."""

import numpy as np

from pgrad.rollouts.actions import OutputsNotFinite, combined_seed


def test_outputs_that_are_not_finite_come_with_advice() -> None:
    assert (str(OutputsNotFinite("NaN")), OutputsNotFinite("NaN").hint) == ("NaN", "a smaller learning_rate may help")
    assert OutputsNotFinite("NaN", "less noise").hint == "less noise"


def test_a_combined_seed_depends_on_every_key_and_step() -> None:
    keys, steps = np.arange(3, dtype=np.uint64), np.arange(3, dtype=np.int32)
    seeds = {int(combined_seed(keys, steps))}
    for n in range(3):
        for moved in ((keys + (np.arange(3) == n).astype(np.uint64), steps), (keys, steps + (np.arange(3) == n))):
            seeds.add(int(combined_seed(*moved)))
    assert len(seeds) == 7
    assert all(0 <= seed < 2**63 for seed in seeds)
