"""Logs of Stable-Baselines3, Tianshou and RLlib on CartPole: ``python games.py FOLDER [NAME ...]``."""

from __future__ import annotations

from collections.abc import Callable

from alone import each_alone


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


if __name__ == "__main__":
    each_alone(MADE)
