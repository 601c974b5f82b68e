"""Real processes: two of torchrun, a killed one, loader workers that hang; and devices that are not here."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from postmortem.errors import ConfigError
from postmortem.trainer.recipe import make

torch = pytest.importorskip("torch", reason="torch is not installed (extra 'trainer')")
pytest.importorskip("sklearn", reason="scikit-learn is not installed (extra 'trainer')")

from postmortem.trainer import device, fetch  # noqa: E402
from postmortem.trainer.loop import train  # noqa: E402
from postmortem.trainer.world import StuckError  # noqa: E402

FIELDS = {"n_train": 195, "n_val": 40, "epochs": 2, "batch_size": 32, "dropout": 0.1, "options": {"hidden": 16}}
SMALL = make(FIELDS)


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}


def _command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", *map(str, words)]


def test_two_processes_of_torchrun_give_the_same_bits(tmp_path: Path) -> None:
    """Two real processes over gloo end with the parameters of one, and one log is written."""
    (tmp_path / "recipe.yaml").write_text(SMALL.to_yaml())
    words = ("torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "postmortem", "rerun")
    command = _command(*words, tmp_path / "recipe.yaml", "--world", "2", "--out", tmp_path / "out")
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert train(SMALL).digest in done.stdout
    assert len(re.findall("training finished", (tmp_path / "out" / "train.log").read_text())) == 1


def test_a_killed_run_resumes_to_the_same_bits(tmp_path: Path) -> None:
    """Killed without warning at some step, then resumed with four processes emulated: nothing is lost or done twice."""
    slow = SMALL.changed(checkpoint_every=1, item_cost=0.002)
    (tmp_path / "recipe.yaml").write_text(slow.to_yaml())
    command = _command("postmortem", "rerun", tmp_path / "recipe.yaml", "--out", tmp_path / "out")
    run = subprocess.Popen(command, env=_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    waited = time.monotonic() + 120
    while not (tmp_path / "out" / "checkpoint.pt").exists() and time.monotonic() < waited:
        time.sleep(0.02)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert train(slow.changed(world_size=4), tmp_path / "out", resume=True).digest == train(slow).digest


class _Hangs(fetch.Steps):
    def __getitem__(self, step: int) -> fetch.Fetched:
        time.sleep(600)
        raise AssertionError(step)


def test_workers_that_hang_end_with_an_explanation() -> None:
    """I9: nothing blocks for ever; after the timeout the error says what is likely wrong."""
    recipe = SMALL.changed(loader_timeout=2.0, num_workers=1)
    steps = _Hangs({"x": torch.zeros(8, 2).numpy()}, recipe.plan(8), recipe, range(1), 1)
    with pytest.raises(StuckError, match="gave nothing for 2 seconds"):
        next(iter(fetch.fetched(steps, range(4))))


@pytest.mark.parametrize(
    ("cuda", "mps", "asked", "chosen"),
    [
        (False, False, "auto", "cpu"),
        (True, True, "auto", "cuda"),
        (False, True, "auto", "mps"),
        (True, True, "cpu", "cpu"),
        (False, False, "cuda", None),
        (False, False, "mps", None),
        (True, False, "tpu", None),
    ],
)
def test_the_device_is_chosen_or_refused(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, asked: str, chosen: str | None
) -> None:
    """CUDA before MPS before CPU; what is not there is an error that names what is (the queries are replaced)."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends, "mps", SimpleNamespace(is_available=lambda: mps))
    if chosen is None:
        with pytest.raises(ConfigError, match="there is no device"):
            device.choose(asked)
    else:
        assert device.choose(asked).type == chosen


@pytest.mark.parametrize(("platform", "method"), [("linux", "forkserver"), ("darwin", "spawn"), ("win32", "spawn")])
def test_workers_are_never_forked(monkeypatch: pytest.MonkeyPatch, platform: str, method: str) -> None:
    """Fork deadlocks after threads or an accelerator were used: it is chosen nowhere, whatever the default is."""
    monkeypatch.setattr(sys, "platform", platform)
    assert device.start_method() == method


def test_mps_promises_statistics_only() -> None:
    """The honest tier of a device whose gradients are not deterministic."""
    assert device.tier(torch.device("mps"), strict=True, shards=8).startswith("statistical")
    assert device.tier(torch.device("cpu"), strict=True, shards=8).startswith("bitwise: the same bits")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("world", [2, 4, 8])
def test_on_cuda_world_size_changes_no_bit(world: int) -> None:
    """The matrix of topologies on a GPU."""
    reference = train(SMALL, device="cuda")
    assert train(SMALL.changed(world_size=world), device="cuda").digest == reference.digest
    assert train(SMALL, device="cuda").digest == reference.digest


@pytest.mark.skipif(not torch.backends.mps.is_available(), reason="there is no MPS device")
def test_on_mps_it_trains() -> None:
    """A run on MPS ends with finite numbers; bits are not promised."""
    assert train(SMALL, device="mps").rows[-1]["val_loss"] < 3
