"""Judges what ``postmortem.ingest`` makes of the published logs in the shared corpus, against its manifest."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from postmortem import names
from postmortem.ingest import read
from postmortem.ingest.packs.pack import load_packs

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus"

# Names the manifest's own parsers made up, and the label that is in the file.
ALIASES = {
    ("two-column-losses", "col1"): "value",
    ("fb-log-jsonl", "coco_AP"): "test_coco_eval_bbox[0]",
    ("llmc-main-log", "tel"): "val loss",
    ("llmc-main-log", "trl"): "train loss",
    ("llmc-main-log", "norm"): "grad norm",
    ("llmc-main-log", "eval"): "val accuracy",
    ("darknet-log", "rate"): "learning rate",
    ("dgl-stdout", "speed"): "Speed (samples/sec)",
    ("dgl-stdout", "gpu_mb"): "GPU MB",
    ("dgl-stdout", "epoch_s"): "Epoch Time(s)",
    ("mace-log-text", "RMSE_E_per_atom_meV"): "RMSE_E_per_atom",
    ("mace-log-text", "RMSE_F_meV_A"): "RMSE_F",
    ("mace-log-text", "RMSE_stress_meV_A3"): "RMSE_stress_per_atom",
    ("mace-log-text", "batch_loss"): "train loss",
    ("lightgbm-py-log", "training_rmse"): "training's rmse",
    ("lightgbm-py-log", "valid_1_rmse"): "valid_1's rmse",
    ("torchtitan-stdout", "memory_gib"): "memory",
    ("torchtitan-stdout", "mfu_pct"): "mfu",
    ("megatron-stdout", "LAMBADA number correct"): "number correct",
    ("megatron-stdout", "LAMBADA avg accuracy"): "avg accuracy",
    ("opennmt-py-stdout", "src_tok/s"): "source tok/s",
    ("opennmt-py-stdout", "tgt_tok/s"): "target tok/s",
    ("nnunet-v1-training-log", "epoch_s"): "epoch time",
    ("nnunet-v1-training-log", "dice_0"): "Dice[0]",
    ("nnunet-v1-training-log", "dice_1"): "Dice[1]",
    ("nnunet-v1-training-log", "dice_2"): "Dice[2]",
    ("swin-logger-text", "mem_MB"): "mem",
    ("deepspeed-chat", "lr"): "lr[0]",
    ("jax-loop-stdout", "elapsed"): "Elapsed Time",
    ("lightgbm-py-log", "cv_score"): "fold CV score",
    ("pytorch-plain-stdout", "epoch_s"): "Epoch time",
    ("stylegan-log-txt", "time_s"): "time",
    ("nequip-log-text", "wall"): "Train wal",
    ("nequip-log-text", "LR"): "Train LR",
    **{
        ("nequip-log-text", f"{short}{name}"): f"{split} {name}"
        for name in ("loss", "loss_f", "loss_e")
        for short, split in (("", "Train"), ("v_", "Validation"))
    },
    **{
        ("mxnet-gluon-log", name): label
        for name, label in {
            "train_cost_s": "cost (s)",
            "ep_ObjLoss": "train_ObjLoss",
            "ep_BoxCenterLoss": "train_BoxCenterLoss",
            "ep_BoxScaleLoss": "train_BoxScaleLoss",
            "ep_ClassLoss": "train_ClassLoss",
            "pixAcc": "validation pixAcc",
            "batch_loss": "avg loss",
            "kwps": "throughput",
            "ep_kwps": "throughput",
        }.items()
    },
    **{
        ("pytorch-imagenet-stdout", name): label
        for name, label in {
            "acc1": "Acc@1",
            "acc1_avg": "Acc@1 (avg)",
            "acc5": "Acc@5",
            "acc5_avg": "Acc@5 (avg)",
            "t_time": "Time",
            "t_time_avg": "Time (avg)",
            "t_loss": "Loss",
            "t_loss_avg": "Loss (avg)",
            "t_acc1": "Acc@1 (batch)",
            "t_acc1_avg": "Acc@1 (avg)",
            "t_acc5": "Acc@5 (batch)",
            "t_acc5_avg": "Acc@5 (avg)",
        }.items()
    },
}

# The pack that describes a format; every other sample is for the readers that know no format.
PACK_OF = {
    "caffe-log": "caffe",
    "darknet-log": "darknet",
    "detectron2-log-text": "detectron2",
    "dgl-stdout": "dgl",
    "flair-training-log": "flair",
    "kaldi-gmm-logs": "kaldi-gmm",
    "lightgbm-cli-log": "lightgbm",
    "lightgbm-py-log": "lightgbm",
    "llmc-main-log": "llmc",
    "mace-log-text": "mace",
    "marian-train-log": "marian",
    "marian-valid-log": "marian",
    "megatron-stdout": "megatron",
    "modded-nanogpt-log": "modded-nanogpt",
    "monai-ignite-log": "monai",
    "mxnet-gluon-log": "gluoncv",
    "nanogpt-stdout": "nanogpt",
    "nnunet-v1-training-log": "nnunet",
    "opennmt-py-stdout": "opennmt-py",
    "pytorch-imagenet-stdout": "pytorch-imagenet",
    "stylegan-log-txt": "stylegan",
    "swin-logger-text": "swin",
    "torchtitan-stdout": "torchtitan",
    "wandb-run": "nanogpt",  # the output that was captured in the folder of the run
}

# Where the manifest is not followed: format, beginning of the fault, and why.
CORRECTIONS = (
    ("mmengine-scalars-json", "best ", "the step of a validation record is its epoch; it stands at the step before it"),
    ("gluonnlp-mxnet-log", "best ", "the manifest gives the batch within the epoch; a step counts on over epochs"),
    ("dgl-stdout", "best loss at step", "the manifest gives the step within the epoch"),
    (
        "garage-csv",
        "best Evaluation/AverageReturn at epoch",
        "the file has no epoch; Evaluation/Iteration is a counter",
    ),
    ("sb3-monitor-csv", "best r at step", "the file has no step; the manifest counts rows"),
    ("opennmt-py-stdout", "ppl: ", "two of the twenty records are wrapped by the terminal; the manifest dropped them"),
    ("opennmt-py-stdout", "acc: ", "as above"),
    ("opennmt-py-stdout", "xent: ", "as above"),
    ("nnunet-v1-training-log", "dice_mean", "computed by the manifest; the log prints one value a class"),
    ("xgboost-stdout", "validation_0_rmse: final", "the row after `Best iteration:` repeats the best one"),
    ("lightgbm-py-log", "folds", "counted by the manifest"),
    ("sklearn-verbose-stdout", "done", "the count of finished tasks says how far the search is: a counter"),
    ("sklearn-verbose-stdout", "of", "as above, their number"),
    ("mxnet-gluon-log", "Speed: final", "the manifest leaves out the line of the whole epoch, which has a speed too"),
    ("deepspeed-chat", "best ppl at epoch", "the manifest counts the evaluation before training as an epoch"),
)

# Counters that say where a record stands: an axis with us, a metric in the manifest.
_AXES = frozenset({"step", "epoch", "iter", "iteration", "timestamp", "time", "date"})


@dataclass(frozen=True)
class Verdict:
    """What came of one sample: ``read``, ``partly``, ``unread`` or ``crashed``, why not more, and who read it."""

    format: str
    file: str
    status: str
    agreed: int = 0
    expected: int = 0
    faults: tuple[str, ...] = field(default=())
    readers: frozenset[str] = frozenset()


@lru_cache(maxsize=1)
def samples() -> tuple[dict[str, Any], ...]:
    """The lines of the manifest; empty where the corpus is not present."""
    manifest = CORPUS / "manifest.jsonl"
    if not manifest.is_file():
        return ()
    return tuple(json.loads(line) for line in manifest.read_text("utf-8").splitlines() if line.strip())


@lru_cache(maxsize=1)
def packs() -> Any:
    """The shipped packs, loaded once."""
    return load_packs()


@lru_cache(maxsize=512)
def judge(file: str) -> Verdict:
    """Reads one sample and compares it with the manifest."""
    sample = next(each for each in samples() if each["file"] == file)
    try:
        logs = read([CORPUS / file], packs=packs())
    except (Exception, pl.exceptions.PanicException) as wrong:
        return Verdict(sample["format"], file, "crashed", faults=(f"{type(wrong).__name__}: {wrong}"[:200],))
    frames = [run.metrics for run in logs.runs]
    series: Series = {}
    if frames:
        rows = pl.concat(frames).with_row_index("row")
        series = dict(rows.partition_by("split", "label", "metric", as_dict=True))
    readers = frozenset(source.format for run in logs.runs for source in run.sources)
    return replace(_compared(sample, series), readers=readers)


Series = dict[tuple[Any, ...], pl.DataFrame]  # by split, label and canonical metric


def _compared(sample: dict[str, Any], metrics: Series) -> Verdict:
    expected = sample["expected"]
    wanted = expected.get("metrics") or []
    if not wanted or not expected.get("n_rows_hint"):
        faults = tuple(f"invented {label}" for _, label, _ in metrics)
        return Verdict(sample["format"], sample["file"], "partly" if faults else "read", faults=faults)
    known = tuple(what for format_, what, _ in CORRECTIONS if format_ == sample["format"])
    faults_of = {name: [*_faults_of(name, sample, metrics)] for name in wanted}
    faults_of["best"] = [*_best_faults(sample, metrics)]
    open_faults = {name: [fault for fault in found if not fault.startswith(known)] for name, found in faults_of.items()}
    faults = [fault for found in open_faults.values() for fault in found]
    agreed = sum(not open_faults[name] for name in wanted)
    status = "read" if not faults else "partly" if agreed else "unread"
    return Verdict(sample["format"], sample["file"], status, agreed, len(wanted), tuple(faults))


def _faults_of(name: str, sample: dict[str, Any], metrics: Series) -> Iterator[str]:
    expected = sample["expected"]
    rows = max(
        _candidates(name, sample["format"], metrics), key=lambda found: _score(name, expected, found), default=None
    )
    if rows is None:
        if name.rpartition("/")[2].lower() not in _AXES and not _is_axis(name):
            yield f"{name}: missing"
        return
    count = (expected.get("points") or {}).get(name)
    if count is not None and count != rows.height:
        yield f"{name}: {rows.height} points, not {count}"
    for which, at in (("first", 0), ("final", -1)):
        value = (expected.get(which) or {}).get(name)
        if value is not None and not same(rows["value"][at], value):
            yield f"{name}: {which} is {rows['value'][at]!r}, not {value!r}"


def _is_axis(name: str) -> bool:
    from postmortem.ingest.structured import axes

    return axes.is_position(name) or axes.choose([name]).time is not None


def _score(name: str, expected: dict[str, Any], rows: pl.DataFrame) -> int:
    """How much of what the manifest says of a metric a candidate series has."""
    count = (expected.get("points") or {}).get(name)
    final, first = ((expected.get(which) or {}).get(name) for which in ("final", "first"))
    return (
        2 * (count == rows.height)
        + 3 * (final is not None and same(rows["value"][-1], final))
        + 2 * (first is not None and same(rows["value"][0], first))
    )


class _Key(NamedTuple):
    split: str
    label: str
    metric: str


def _candidates(name: str, format_: str, metrics: Series) -> Iterator[pl.DataFrame]:
    """Series that the manifest's name can mean: by label, by split and label, or by meaning."""
    name = ALIASES.get((format_, name), name)
    parsed = names.parse(name)
    for rule in (
        lambda each: each.label == name,
        lambda each: _plain(each.label) == _plain(name),
        lambda each: _plain(f"{each.split}_{each.label}") == _plain(name),
        lambda each: _plain(f"{each.split}_{each.metric}") == _plain(name),
        lambda each: (each.split, each.metric) == parsed,
    ):
        found = [frame for key, frame in metrics.items() if rule(_Key(*key))]
        if found:
            yield pl.concat(found).sort("row")
            yield from found


@lru_cache(maxsize=1 << 16)
def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def same(got: float, want: Any) -> bool:
    """Whether two numbers agree to what a float of the manifest can say."""
    want = float(want) if isinstance(want, (int, float, str)) else math.nan
    return math.isclose(got, want, rel_tol=1e-9) or (math.isnan(got) and math.isnan(want)) or got == want


def _best_faults(sample: dict[str, Any], metrics: Series) -> Iterator[str]:
    best = sample["expected"].get("best")
    if not best or not isinstance(best.get("value"), (int, float)):
        return
    down = (best.get("mode") or best.get("direction")) == "min"
    options = []
    for rows in _candidates(best["metric"], sample["format"], metrics):
        finite = rows.filter(pl.col("value").is_finite())
        if finite.height:
            value = finite["value"].min() if down else finite["value"].max()
            at = finite.filter(pl.col("value") == value).row(0, named=True)
            options.append((value, at))
    if not options:
        if not _is_axis(best["metric"]):
            yield f"best {best['metric']}: missing"
        return
    hits = [at for value, at in options if same(value, best["value"])]
    if not hits:
        yield f"best {best['metric']}: {options[0][0]!r}, not {best['value']!r}"
        return
    for axis in ("step", "epoch"):
        want = best.get("at", {}).get(axis)
        if want is not None and not any(hit[axis] is not None and same(hit[axis], want) for hit in hits):
            yield f"best {best['metric']} at {axis} {hits[0][axis]}, not {want}"
