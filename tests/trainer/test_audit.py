"""The audit counts what a loader really yields: it accepts sound loaders and names the fault of each wrong one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from postmortem.errors import ConfigError
from postmortem.trainer.audit import audit, fingerprints, told
from postmortem.trainer.plan import ExactlyOnceSampler, ShardPlan, none_if_empty

torch = pytest.importorskip("torch", reason="torch is not installed (extra 'trainer')")

from torch import distributed  # noqa: E402
from torch.utils.data import DataLoader, Dataset, DistributedSampler, IterableDataset, default_collate, get_worker_info  # noqa: E402

N = 50


class Rows(Dataset):  # type: ignore[type-arg,misc,unused-ignore]
    """Map-style, with an id."""

    def __len__(self) -> int:
        return N

    def __getitem__(self, at: int) -> dict[str, Any]:
        return {"id": at, "x": np.float32(at) * 2}


class Stream(IterableDataset):  # type: ignore[type-arg,misc,unused-ignore]
    """Iterable; ``split`` says which of rank and worker it asks."""

    def __init__(self, split: str) -> None:
        self.split = split

    def __iter__(self) -> Iterator[dict[str, int]]:
        rank, world = (distributed.get_rank(), distributed.get_world_size()) if "rank" in self.split else (0, 1)
        worker = get_worker_info()
        part, parts = (worker.id, worker.num_workers) if worker and "worker" in self.split else (0, 1)
        return ({"id": at} for at in range(rank * parts + part, N, world * parts))


def _shuffled() -> DataLoader[Any]:
    return DataLoader(Rows(), 8, shuffle=True)


def _padded() -> DataLoader[Any]:
    return DataLoader(Rows(), 8, sampler=DistributedSampler(Rows(), shuffle=True))


def _dropped() -> DataLoader[Any]:
    return DataLoader(Rows(), 8, shuffle=True, drop_last=True)


def _ours(rank: int, world_size: int) -> DataLoader[Any]:
    sampler = ExactlyOnceSampler(ShardPlan(N, 12), rank, world_size)
    return DataLoader(Rows(), batch_sampler=sampler, collate_fn=none_if_empty(default_collate))


def _stream(split: str) -> Any:
    return lambda: DataLoader(Stream(split), batch_size=8)


@pytest.mark.parametrize(
    ("make", "workers", "world", "once", "said"),
    [
        (_shuffled, 0, 1, True, "each sample comes exactly once"),
        (_shuffled, 2, 1, True, "each sample comes exactly once"),
        (_shuffled, 0, 2, False, "50 samples come in more than one process"),
        (_padded, 0, 4, False, "2 samples come in two processes: a tail padded"),
        (_padded, 0, 2, True, "each sample comes exactly once"),
        (_dropped, 0, 1, False, "2 samples never come"),
        (_ours, 0, 4, True, "each sample comes exactly once"),
        (_stream("rank worker"), 2, 2, True, "each sample comes exactly once"),
        (_stream("rank"), 2, 2, False, "fix: each worker yields everything"),
        (_stream("rank"), 0, 2, True, "each sample comes exactly once"),
        (_stream("worker"), 2, 2, False, "more than one process"),
    ],
)
def test_what_a_loader_yields(make: Any, workers: int, world: int, once: bool, said: str) -> None:
    """Map-style and iterable, over workers and simulated processes: counted, judged, and explained with the fix."""
    found = audit(make, workers=workers, world_size=world)
    assert found.exactly_once == once
    assert said in told(found)


def test_the_factor_is_the_number_of_workers() -> None:
    """Rank-only sharding: each sample of each process comes once per worker, counted over every id."""
    found = audit(_stream("rank"), workers=3, world_size=2, epochs=1)
    assert set(found.epochs[0].counts.values()) == {3}
    assert "come 3 times on average" in told(found)


def test_a_forgotten_set_epoch_is_seen() -> None:
    """A distributed sampler repeats its order unless set_epoch is called; a plain shuffle does not."""
    assert audit(_padded, world_size=2).same_order is True
    assert audit(_padded, world_size=2, set_epoch=True).same_order is False
    assert audit(_shuffled).same_order is False
    assert "call sampler.set_epoch(epoch)" in told(audit(_padded, world_size=2))


def test_our_sampler_changes_order_by_itself() -> None:
    """The second iteration of one sampler is the next epoch."""
    assert audit(_ours, world_size=2).same_order is False


class Bare(Rows):
    """Samples without an id, some augmented."""

    def __init__(self, noise: float) -> None:
        self.noise = noise

    def __getitem__(self, at: int) -> Any:
        return torch.tensor([float(at), 1.0]) + self.noise * torch.randn(2), at % 2


def test_samples_without_ids_are_told_apart_by_content() -> None:
    """Fingerprints count as ids do; under augmentation content says nothing, and the audit says that."""
    plain = audit(lambda: DataLoader(Bare(0.0), 8, shuffle=True))
    assert plain.fingerprints
    assert plain.exactly_once
    noisy = audit(lambda: DataLoader(Bare(0.1), 8, shuffle=True))
    assert noisy.undecided
    assert not noisy.exactly_once
    assert "not decided" in told(noisy)


def test_fingerprints_depend_on_content_alone() -> None:
    """Equal rows get equal names wherever they stand; another value, type or label gives another name."""
    x, y = torch.tensor([[1.0, 2], [3, 4], [1, 2]]), torch.tensor([0, 1, 0])
    names = fingerprints({"x": x, "y": y})
    assert names[0] == names[2] != names[1]
    assert fingerprints({"x": x, "y": torch.tensor([1, 1, 0])})[0] != names[0]
    assert fingerprints({"x": x.double(), "y": y})[0] != names[0]


def test_a_loader_that_fails_is_an_error_with_its_reason() -> None:
    """The user's exception is named, not swallowed."""
    with pytest.raises(ConfigError, match="making the loader failed: ZeroDivisionError"):
        audit(lambda: 1 / 0)


def test_the_callers_world_is_left_alone() -> None:
    """Simulating processes leaves torch.distributed and the environment as they were."""
    audit(_padded, world_size=2)
    assert not distributed.is_initialized()


def test_the_fragments_of_the_documentation(monkeypatch: pytest.MonkeyPatch) -> None:
    """The data set over parquet fragments that the documentation shows: exactly once over workers and processes."""
    tables = {f"part{part}": [{"id": 10 * part + at} for at in range(10)] for part in range(5)}
    parquet = SimpleNamespace(read_table=lambda path: SimpleNamespace(to_pylist=lambda: tables[path]))
    monkeypatch.setitem(sys.modules, "pyarrow", SimpleNamespace(parquet=parquet))
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", parquet)
    page = (Path(__file__).parents[2] / "docs" / "trainer.md").read_text(encoding="utf-8")
    code = next(part for part in page.split("```python\n") if part.startswith("import pyarrow")).split("```")[0]
    shown: dict[str, Any] = {}
    exec(code, shown)
    found = audit(lambda: DataLoader(shown["Fragments"](tables), batch_size=4), workers=2, world_size=2)
    assert found.exactly_once, told(found)
    assert len(found.epochs[0].counts) == 50


def test_the_command(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """``postmortem audit`` imports a factory, counts, and says it with the exit code."""
    from postmortem.cli.audit import audit as command

    (tmp_path / "mydata.py").write_text("class Rows(list):\n    pass\n\ndef make():\n    return [{'id': [1, 2, 2]}]\n")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(command, ["mydata:make"])
    assert (done.exit_code, "1.5 times on average" in done.output) == (1, True)
    missing = CliRunner().invoke(command, ["mydata:nothing"])
    assert (missing.exit_code, "cannot be imported" in missing.output) == (2, True)
