"""Logs of Stable-Baselines3, Tianshou and RLlib on CartPole: ``python games.py FOLDER [NAME ...]``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def stable_baselines3() -> None:
    """PPO with an evaluation; boxed tables."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import EvalCallback
    from stable_baselines3.common.env_util import make_vec_env

    callback = EvalCallback(make_vec_env("CartPole-v1", 1, seed=1), eval_freq=256, n_eval_episodes=3, verbose=1)
    model = PPO("MlpPolicy", make_vec_env("CartPole-v1", 2, seed=0), n_steps=128, verbose=1, seed=0, device="cpu")
    model.learn(768, callback=callback)


def rllib() -> None:
    """PPO under Tune; status tables and results."""
    import ray
    from ray import tune
    from ray.rllib.algorithms.ppo import PPOConfig

    ray.init(num_cpus=2, include_dashboard=False, configure_logging=False, object_store_memory=100 * 2**20)
    config = (
        PPOConfig()
        .environment("CartPole-v1")
        .env_runners(num_env_runners=0)
        .training(train_batch_size_per_learner=400, minibatch_size=100, num_epochs=2)
    )
    tune.run("PPO", config=config.to_dict(), stop={"training_iteration": 3}, verbose=2)


MADE: dict[str, Callable[[], None]] = {"stable-baselines3": stable_baselines3, "rllib": rllib}


def main() -> None:
    """Each in a process of its own, whose whole output is the log."""
    if os.environ.get("MAKE"):
        MADE[os.environ["MAKE"]]()
        return
    for name in sys.argv[2:] or MADE:
        with (Path(sys.argv[1]) / f"{name}.log").open("w") as log:
            environment = {**os.environ, "MAKE": name, "OMP_NUM_THREADS": "1"}
            subprocess.run(
                [sys.executable, __file__], stdout=log, stderr=subprocess.STDOUT, check=False, env=environment
            )


if __name__ == "__main__":
    main()
