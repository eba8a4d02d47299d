"""Stable-Baselines3's A2C on Gymnasium's CartPole: steps per second. Run by torch_path with a Python that has it."""

import sys
import time

import torch
from stable_baselines3 import A2C
from stable_baselines3.common.env_util import make_vec_env


def main(num_envs: int, num_steps: int, total_steps: int) -> float:
    torch.set_num_threads(1)
    envs = make_vec_env("CartPole-v1", n_envs=num_envs, seed=0)
    model = A2C("MlpPolicy", envs, n_steps=num_steps, device="cpu", seed=0)
    model.learn(20 * num_envs * num_steps)
    began = time.perf_counter()
    model.learn(total_steps)
    return model.num_timesteps / (time.perf_counter() - began)  # type: ignore[no-any-return]


if __name__ == "__main__":
    print(main(*map(int, sys.argv[1:])))
