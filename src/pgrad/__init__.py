"""pgrad: policy gradients done right. The public names, and nothing else."""

from pgrad import exact, verify
from pgrad.config.settings import Config
from pgrad.diagnostics.along_run import diagnose
from pgrad.envs.make import Env, make
from pgrad.episode import Episode, collect_episode, play
from pgrad.errors import (
    ConfigError,
    EnvError,
    EstimatorError,
    InputError,
    MDPError,
    PgradError,
    PolicyError,
    RunError,
    TrainingDiverged,
)
from pgrad.estimators.episodes import discounted_return, estimate_policy_gradient, rewards_to_go
from pgrad.evaluation import Evaluation, evaluate
from pgrad.experiments.sweeps.result import Sweep
from pgrad.experiments.sweeps.sweep import sweep
from pgrad.experiments.tuning.tune import Tuning, tune
from pgrad.policies.mlp import MLPPolicy, MLPValue
from pgrad.policies.softmax import softmax
from pgrad.results import Results, load_results
from pgrad.runs.folder import save
from pgrad.runs.load import load, load_value
from pgrad.runs.resume import resume
from pgrad.training.result import Result, compare
from pgrad.training.tensorboard import TensorBoard
from pgrad.training.train import train

__version__ = "0.1.0"

__all__ = [
    "Config",
    "ConfigError",
    "Env",
    "EnvError",
    "Episode",
    "EstimatorError",
    "Evaluation",
    "InputError",
    "MDPError",
    "MLPPolicy",
    "MLPValue",
    "PgradError",
    "PolicyError",
    "Result",
    "Results",
    "RunError",
    "Sweep",
    "TensorBoard",
    "TrainingDiverged",
    "Tuning",
    "__version__",
    "collect_episode",
    "compare",
    "diagnose",
    "discounted_return",
    "estimate_policy_gradient",
    "evaluate",
    "exact",
    "load",
    "load_results",
    "load_value",
    "make",
    "play",
    "resume",
    "rewards_to_go",
    "save",
    "softmax",
    "sweep",
    "train",
    "tune",
    "verify",
]
