"""The records that the browser begins with: pgrad's own, as its constructors make them, for a few kinds of run."""

from dataclasses import replace
from typing import Any

import numpy as np

from pgrad import exact
from pgrad.algorithms.iteration import METRICS
from pgrad.config.settings import Config
from pgrad.envs.make import Env
from pgrad.estimators.spec import EstimatorSpec
from pgrad.exact.problems import RIGHT
from pgrad.exact.table import Rows, World, possible_paths
from pgrad.lesson.engine import Rollout, Training
from pgrad.lesson.theory import Theory
from pgrad.rollouts.batch import Batch
from pgrad.rollouts.compiled import Plan, new_simulation
from pgrad.training.build import ENDLESS, new_learner, settings_of
from pgrad.training.prepare import prepare

ENV = "CartPole-v1"
TIME_LIMIT = 3  # steps of the theory's problem
MOST_EPISODES = 16  # a gradient step
MOST_TRAJECTORIES = 1_000  # of the theory's estimates
MOST_ASKED = 4_096  # states at once
LOG_ROOM = 4_096  # episodes that end in one call

WHOLE_EPISODES = {"algorithm": "notebook", "episodes_per_iteration": MOST_EPISODES, "num_envs": MOST_EPISODES}
RECIPES: dict[str, dict[str, Any]] = {
    "notebook": {**WHOLE_EPISODES, "baseline": "value"},
    "two-layers": {**WHOLE_EPISODES, "baseline": "value", "hidden": (128, 128)},
    "default": {**WHOLE_EPISODES, "baseline": "value", "hidden": (64,), "activation": "tanh"},
    "actor-critic": {"algorithm": "actor-critic", "initialization": "uniform"},
    "ppo": {"algorithm": "ppo", "initialization": "uniform"},
}


def trainings() -> dict[str, Training]:
    """Return a run of each recipe, with room for the most episodes, and for a value network whether it has one or not.

    The browser writes its own settings, seeds and parameters over these.
    """
    return {name: new_training(*prepare(ENV, settings, preset="none")[:2]) for name, settings in RECIPES.items()}


def new_training(config: Config, env: Env) -> Training:
    """Return a run that has not begun."""
    episodes, num_steps = config.episodes_per_iteration or 0, config.num_steps or 0
    learner = new_learner(config, env, 0, episodes or config.num_envs)
    for network, state in ((learner.policy.network, learner.policy_state), (learner.critic, learner.critic_state)):
        network.parameters[:] = state.before[:] = 0.0  # the browser draws its own
    plan = Plan(episodes, num_steps, env.max_episode_steps or ENDLESS, np.uint64(0))
    simulation = new_simulation(_dynamics(env), learner.policy, plan, config.num_envs, LOG_ROOM)
    settings = settings_of(config)._replace(num_iterations=ENDLESS, total_steps=ENDLESS)
    return Training(settings, learner, simulation, np.zeros((1, len(METRICS))))


def rollout_of(training: Training) -> Rollout:
    """Return a record in which the run's policy plays one episode at a time."""
    policy, limit = training.learner.policy, training.simulation.plan.max_episode_steps
    plan = Plan(1, 0, limit, np.uint64(0))
    simulation = new_simulation(training.simulation.env, policy, plan, 1)
    obs, probability = np.zeros((4, MOST_ASKED), np.float32), np.zeros(MOST_ASKED)
    return Rollout(policy, simulation, 1.0, np.zeros(limit, np.float32), np.zeros(limit), obs, probability)


def new_theory() -> Theory:
    """Return the lesson's problem: the chain 0 - 1 - goal, at most three steps, with a preference for right in each."""
    sure, slipped = (exact.chain(2, slip=slip) for slip in (0.0, 1.0))
    states, actions = sure.num_states, sure.num_actions
    features = np.zeros((states, actions, states - 1))
    for s in range(states - 1):
        features[s, RIGHT, s] = 1.0
    mdp = replace(exact.chain(2, slip=0.1), time_limit=TIME_LIMIT)
    paths = possible_paths(mdp, exact.Linear(features)(np.zeros(states - 1)))
    rows, size, most = len(paths.length), states - 1, MOST_TRAJECTORIES * TIME_LIMIT
    return Theory(
        paths=paths,
        world=World(
            sure.start.copy(), np.zeros(sure.transition.shape), np.zeros(sure.transition.shape), sure.terminal.copy()
        ),
        sure=sure.transition.copy(),
        slipped=slipped.transition.copy(),
        features=features,
        slip=0.1,
        constant=0.0,
        discount=1.0,
        spec=EstimatorSpec(),
        theta=np.zeros(size),
        probabilities=np.zeros((states, actions)),
        scores=np.zeros((states, actions, size)),
        values=np.zeros(states),
        rows=Rows(np.zeros(rows), np.zeros(rows), np.zeros(rows), np.zeros((rows, size))),
        gradient=np.zeros(size),
        chosen=np.zeros(MOST_TRAJECTORIES, np.int64),
        room=Batch(
            obs=np.zeros((1, 0), np.float32),
            action=np.zeros(most, np.int32),
            reward=np.zeros(most),
            terminated=np.zeros(most, np.bool_),
            truncated=np.zeros(most, np.bool_),
            trajectory=np.zeros(most, np.int32),
            time=np.zeros(most, np.int32),
            final_obs=np.zeros((1, 0), np.float32),
            final_sample=np.zeros(most, np.int64),
            num_trajectories=0,
        ),
    )


def _dynamics(env: Env) -> Any:
    assert env.dynamics is not None, "CartPole is compiled"
    return env.dynamics
