"""What other libraries call our settings, and which setting a wrong name meant."""

from collections.abc import Iterable

from pgrad.config.values import plain
from pgrad.errors import closest

# What Stable-Baselines3, CleanRL, RLlib and Tianshou call our settings.
SYNONYMS = {
    "activation_fn": "activation",
    "advantage_normalization": "standardize",
    "alpha": "learning_rate",
    "anneal_lr": "learning_rate_schedule",
    "batch_size": "num_steps",
    "deterministic": "greedy",
    "clip_coef": "clip_epsilon",
    "clip_param": "clip_epsilon",
    "clip_range": "clip_epsilon",
    "clip_range_vf": "value_clip_epsilon",
    "discount_factor": "discount",
    "eps_clip": "clip_epsilon",
    "ent_coef": "entropy_coef",
    "entropy_coeff": "entropy_coef",
    "env_id": "env",
    "episode_per_collect": "episodes_per_iteration",
    "episodes": "episodes_per_iteration",
    "fcnet_activation": "activation",
    "fcnet_hiddens": "hidden",
    "gamma": "discount",
    "grad_clip": "max_grad_norm",
    "gradient_clip": "max_grad_norm",
    "gym_id": "env",
    "hidden_sizes": "hidden",
    "horizon": "max_episode_steps",
    "iterations": "num_iterations",
    "lambda": "gae_lambda",
    "lambda_": "gae_lambda",
    "log_std_init": "initial_std",
    "lr": "learning_rate",
    "lr_schedule": "learning_rate_schedule",
    "n_envs": "num_envs",
    "n_epochs": "num_epochs",
    "n_eval_episodes": "evaluation_episodes",
    "n_steps": "num_steps",
    "net_arch": "hidden",
    "norm_adv": "standardize",
    "norm_obs": "normalize_obs",
    "norm_reward": "normalize_rewards",
    "normalize_advantage": "standardize",
    "num_envs_per_env_runner": "num_envs",
    "num_sgd_iter": "num_epochs",
    "observation_filter": "normalize_obs",
    "optimizer_class": "optimizer",
    "repeat_per_collect": "num_epochs",
    "return_scaling": "normalize_rewards",
    "reward_normalization": "normalize_rewards",
    "rollout_fragment_length": "num_steps",
    "sde_sample_freq": "noise_steps",
    "squash_output": "squash",
    "step_per_collect": "num_steps",
    "tau": "temperature",
    "timesteps": "total_steps",
    "total_timesteps": "total_steps",
    "train_batch_size": "num_steps",
    "training_num": "num_envs",
    "update_epochs": "num_epochs",
    "use_critic": "baseline",
    "use_gae": "estimator",
    "use_sde": "std",
}
EXPLAINED = {
    **dict.fromkeys(
        ("vf_coef", "vf_loss_coeff", "value_coef"),
        "the value network is separate and has a value_learning_rate; value_coef is for a PyTorch module (policy=...)",
    ),
    **dict.fromkeys(
        ("minibatch_size", "sgd_minibatch_size"),
        "num_minibatches says into how many parts a batch is shuffled",
    ),
}


def nearest_setting(name: str, known: Iterable[str], command: str = "pgrad train") -> str:
    """Hint at the setting or flag that was meant: by another library's name for it, or by its spelling."""
    by_plain = {plain(candidate): candidate for candidate in known}
    if explained := EXPLAINED.get(plain(name)):
        return explained
    synonym = SYNONYMS.get(plain(name))
    meant = synonym if synonym in by_plain else closest(plain(name), by_plain)
    return f"did you mean '{by_plain[meant]}'?" if meant else f"`{command} --help` lists them"
