"""Which numbers of a log are measurements, and which are settings, sizes, or no business of ours.

The principle: a measurement's label recurs on lines of the same shape with changing values, or it stands at a known
place in training. A file in which no known kind of measurement does either has none at all.
"""

from __future__ import annotations

import re

import polars as pl

from postmortem import names

# Words that name a measurement beyond doubt, whatever else is in the log.
_CORE = re.compile(
    r"loss|(^|_)(acc|accuracy|auc|auroc|f1(?!\d)|precision|recall|bleu|ppl|perplexity|mse|mae|rmse|reward|return|m?iou|dice"
    r"|psnr"
    r"|ssim|fid|m?ap|wer|cer|ndcg|mrr|r2|nll|xent|entropy|elbo|kl|grad_norm|logloss|rouge\w*|error|score|top1|top5"
    r"|cost|mcc)"
    r"(_|@|\d|$)|loss$|acc$|return$|reward$"
)
_CONFIG = re.compile(
    r"(^|_|/)(weight|weights|coef|coeff|lambda|smoothing|ratio|threshold|size|dim|beta|eps|epsilon|momentum|decay"
    r"|interval|every"
    r"|patience|warmup|layers|heads|hidden|target|clip|num|max|min_delta|factor|type|alpha|gamma|seed|workers"
    r"|dropout|thr|rank|world|parallel|port|pid|device)(_|$)"
)
_COMMON_WORDS = ("return", "error", "cost", "map", "score", "precision", "recall", "reward", "dice", "kl", "ap")
_ELSEWHERE = (["error"], ["cost"], ["return"], ["map"], ["ap"])  # what controllers, shops and planners print as well
_SPARSE = 0.4  # share of a line's letters that labels make up, below which it is prose
_SERIES = 3  # lines from which a label nobody knows is taken for a series


def measurements(
    fields: pl.DataFrame, values: pl.DataFrame, start: int | None, *, trains: bool = False
) -> pl.DataFrame:
    """The fields that are measurements.

    Args:
        fields: Candidate fields, see ``shapes.Numbers``.
        values: Their numbers.
        start: Line of the first counter that governs what follows, or None.
        trains: The file is known to be a training log.

    Returns:
        The rows of ``fields`` that are.
    """
    facts = _with_facts(fields, values, start)
    core, known, strong, counted = (pl.col(name) for name in ("core", "known", "strong", "counted"))
    dense, floats = pl.col("coverage") >= _SPARSE, ~pl.col("integers")
    # A sentence about a run counts too ("after epoch 3 the loss is 0.4"); a log says so again and again.
    measured = counted & (strong | known | core) & (dense | (pl.col("lines") >= _SERIES))
    # What stays the same is a setting repeated, but for the learning rate, which many logs print each epoch.
    novel = pl.col("changing") | (pl.col("lines") == 1)
    unknown = strong & novel & (floats | (pl.col("changing") & (pl.col("lines") >= _SERIES)))
    placed = pl.col("begun") & pl.when(known).then(pl.col("changing") | (strong & (pl.col("lr") | novel))).otherwise(
        unknown
    )
    alone = ~pl.col("config") & dense & pl.when(core).then(pl.col("changing") | pl.col("begun")).otherwise(placed)
    alone &= ~pl.col("dump") | ((core | known) & pl.col("changing"))
    told = strong | (counted & dense & floats)
    beside = told & ~pl.col("config") & (core & pl.col("changing")).any().over("shape")
    recurring = (
        (pl.col("begun") if start is not None else pl.lit(True))
        & known
        & strong
        & ~pl.col("config")
        & ~pl.col("dump")
        & pl.col("changing")
        & (pl.col("lines") >= _SERIES)
    )
    kept = facts.filter(measured | alone | beside | recurring) if trains or _trains(facts) else facts.clear()
    return fields.join(kept, on=["shape", "slot"], how="semi", maintain_order="left")


def _trains(facts: pl.DataFrame) -> bool:
    """The file is a training log: something known is counted or changes, or a label nobody knows makes a series."""
    counted, changing = pl.col("counted"), pl.col("changing")
    # Labels such as G_GAN are measurements all the same when line after line counts and they change.
    floats, long = ~pl.col("integers"), pl.col("lines") >= _SERIES
    series = counted & pl.col("strong") & floats & changing & long
    uncounted = changing & floats & long & (pl.col("coverage") >= _SPARSE) & ~pl.col("elsewhere")
    headed = pl.col("begun") & pl.col("strong") & floats
    told = pl.col("core") & (counted | uncounted | headed)
    return bool(facts.select((~pl.col("config") & (told | series)).any()).item())


def _with_facts(fields: pl.DataFrame, values: pl.DataFrame, start: int | None) -> pl.DataFrame:
    """Adds what the values and the label of each field say."""
    begun = pl.col("line").max() >= start if start is not None else pl.lit(False)
    value = pl.col("value")
    said = values.group_by("shape", "slot").agg(
        begun=begun,
        integers=(value == value.floor()).all(),
        count=pl.len(),
        least=value.min(),
        most=value.max(),
        odd=value.is_nan().any() & value.is_not_nan().any(),
    )
    joined = fields.join(said, on=["shape", "slot"], how="inner", maintain_order="left")
    label = pl.col("label")
    varied = (pl.col("most").max() > pl.col("least").min()) | pl.col("odd").any()
    verdicts = {name: label.map_elements(test, return_dtype=pl.Boolean) for name, test in _TESTS.items()}
    # "return 0.5" is source code, "error 404" a server's; with a colon they may be measured.
    weak_word = ~pl.col("strong") & label.str.to_lowercase().is_in(_COMMON_WORDS)
    verdicts["core"] &= ~weak_word
    return joined.with_columns(lines=pl.col("count").sum().over("label"), changing=varied.over("label"), **verdicts)


def _metric(label: str) -> str:
    return names.parse(label.removesuffix(" (avg)")).metric


def _is_core(label: str) -> bool:
    return bool(_CORE.search(metric := _metric(label))) and metric != "packet_loss"


def is_config(label: str) -> bool:
    """The label names a setting (``loss_weight``, ``max_steps``), whatever measurement it mentions."""
    return bool(_CONFIG.search(_metric(label).partition("@")[0]))  # behind it stands the place on a curve


def _is_known(label: str) -> bool:
    return names.role(_metric(label)) not in ("other", "count")


def _is_lr(label: str) -> bool:
    return names.role(_metric(label)) == "lr"


def _is_elsewhere(label: str) -> bool:
    return names.words(label)[-1:] in _ELSEWHERE


_TESTS = {"elsewhere": _is_elsewhere, "core": _is_core, "config": is_config, "known": _is_known, "lr": _is_lr}
