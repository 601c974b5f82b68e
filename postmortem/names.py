"""The vocabulary of training logs: what a printed name means.

One home for four questions: which split and metric a label names, which role a metric plays, which direction is
better, and which canonical fact a configuration key states. Everything is a table, so a new word is one line.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple

Role = Literal[
    "loss",  # what the optimiser minimises, or a part of it
    "score",  # quality of predictions, in either direction
    "reward",  # reinforcement learning: return of an episode
    "adversarial",  # a loss of a game between networks; no direction
    "lr",
    "grad_norm",
    "time",  # seconds something took
    "throughput",  # things per second
    "memory",
    "utilization",
    "count",  # sizes and counters; constant or growing by nature
    "other",
]
Direction = Literal["min", "max"]

_SPLIT_WORDS = {
    "train": "train training trn trainer tr",
    "val": "val va valid validation validating dev eval evaluation evaluating vali vld heldout holdout",
    "test": "test testing tst",
}
_SPLIT_OF = {word: split for split, words in _SPLIT_WORDS.items() for word in words.split()}

# English: the words of other languages that logs are written in. What is printed stays the label.
_TRANSLATIONS = {
    "train": "训练 訓練 学習 학습 훈련 обучение entrenamiento entraînement treino treinamento addestramento",
    "val": "验证 驗證 検証 검증 валидация validierung validación validação validazione",
    "test": "测试 測試 テスト 테스트 тест prueba teste",
    "loss": "损失 損失 손실 потеря потери verlust perte pérdida perda perdita kayıp strata",
    "accuracy": "准确率 準確率 正确率 精度 正解率 정확도 точность genauigkeit exactitude exactitud acurácia",
    "precision": "精确率 適合率 정밀도 précision precisión precisão",
    "recall": "召回率 再現率 재현율 полнота rappel",
    "lr": "学习率 學習率 学習率 학습률 lernrate",
    "epoch": "轮次 轮数 轮 周期 エポック 에폭 에포크 эпоха epoche época époque epoca epoka",
    "step": "步数 步骤 迭代 ステップ 스텝 단계 шаг schritt paso étape passo",
    "time": "时间 時間 用时 耗时 시간 время zeit temps tiempo dauer",
    "average": "平均 평균",
    "best": "最佳 最好 最高 최고 beste meilleure mejor",
    "error": "误差 誤差 오차 ошибка fehler erreur",
}
_ENGLISH = {word: english for english, words in _TRANSLATIONS.items() for word in words.split()}
# Longest first: these scripts put no space between words.
_FOREIGN = re.compile("|".join(sorted((word for word in _ENGLISH if not word.isascii()), key=len, reverse=True)))

# Canonical metric: the other spellings of the same thing, already lower case with "_" between words.
_SYNONYMS = {
    "loss": (
        "total_loss loss_total avg_loss loss_avg mean_loss loss_mean lm_loss cost main/loss losses average_loss "
        "lm_loss_value reduced_loss"
    ),
    "accuracy": (
        "acc categorical_accuracy sparse_categorical_accuracy binary_accuracy avg_acc mean_accuracy main/accuracy "
        "accuracy_score accuracies accu avg_accuracy"
    ),
    "accuracy@1": (
        "acc@1 acc1 top1 top_1 top1_acc acc_top1 accuracy_top_1 accuracy_top1 prec@1 acc_top_1 acc/top1 "
        "accuracy/top1 top_1_accuracy"
    ),
    "accuracy@5": (
        "acc@5 acc5 top5 top_5 top5_acc acc_top5 accuracy_top_5 accuracy_top5 prec@5 acc_top_5 acc/top5 "
        "accuracy/top5 sparse_top_k_categorical_accuracy"
    ),
    "auroc": "auc roc_auc auc_roc rocauc aucroc",
    "average_precision": "ap auprc pr_auc aucpr auc_pr",
    "precision": "box_p",
    "recall": "box_r",
    "f1": "f1_score f1score f_1 fscore f_score",
    "perplexity": "ppl pplx",
    "lr": "learning_rate learningrate l.r. learn_rate l_r lrate",
    "grad_norm": (
        "gnorm gradient_norm gradnorm grad_l2 global_grad_norm grad_norm_total norm_grad grad_norm_l2 |g_param|"
    ),
    "n": "n_samples num_samples",
    "neg": "negatives n_neg num_neg n_negatives",
    "pos": "positives n_pos num_pos n_positives",
    "logloss": "log_loss",
    "nll": "nll_loss",
    "cross_entropy": "cross_entropy_loss ce_loss crossentropy xent_loss",
    "bce": "bce_loss binary_crossentropy binary_cross_entropy",
    "mse": "mse_loss l2 l2_loss mean_squared_error",
    "mae": "mae_loss l1 l1_loss mean_absolute_error",
    "rmse": "root_mean_squared_error",
    "reward": (
        "mean_reward reward_mean avg_reward average_reward ep_rew_mean episode_reward_mean episodic_return "
        "episode_return_mean eprewmean mean_ep_ret avg_return averagereturn average_epret rew"
    ),
}
CANONICAL: tuple[str, ...] = tuple(_SYNONYMS)
"""Metrics that have other spellings too."""

_CANONICAL = {other: name for name, others in _SYNONYMS.items() for other in others.split()}

# First match wins; matched against the canonical metric without its split.
_ROLES: tuple[tuple[Role, str], ...] = (
    ("lr", r"^(lr|.*[/_]lr([/_\-]?\d+)?|lr[/_\-].*|lr\d+|x/lr\d+|pg\d+|.*learning_rate.*)$"),
    ("grad_norm", r"grad.*norm|norm.*grad|^g_?norm$|grad_?l2|^grad(?:ients?)?_.*_l2$|^gradients?/"),
    (
        "count",
        r"^(n|num|count|total|global|current)[_/].*(?<!loss)$|.*(_count|_samples|_tokens|_steps|_examples|timesteps)$"
        r"|^(n|pos|neg|negatives|positives|params?|flops?|total_flos|iterations?|samples?|tokens|step|steps|progress"
        r"|percentage|true_positives|false_positives|true_negatives|false_negatives|iters?|bsz|wall|epoch_?s?"
        r"|.*loss_scale.*|amp_scale.*|grad_scale|scale|skipped.*|.*version.*|seed|patience)$",
    ),
    (
        "throughput",
        r"per_second|per_sec|/s$|_s$(?<=it_s)|^(tps|wps|ups|ips|sps|fps|tflops|speed|throughput|tok_s)\b"
        r"|throughput|samples/sec|tokens/sec|words/s|imgs/s|its/s|^time/fps$",
    ),
    ("utilization", r"mfu|hfu|util|[cg]pu_(usage|load|percent)|sm_activ"),
    ("memory", r"mem(ory)?\b|_mem|mem_|^gpu_mb|rss|max_mem"),
    (
        "time",
        r"(^|[_/])(time|runtime|duration|elapsed|eta|seconds|secs?|latency|dt|ms|wall_?time|cost_time|time_cost)"
        r"([_/]|$)|_time$|^time|step_avg|timestamp|_ms$",
    ),
    (
        "adversarial",
        r"^(g|d|gen|dis|disc|generator|discriminator|critic)[_/]?(loss|real|fake|gan|adv)|"
        r"loss[_/](g|d|gen|dis|disc|generator|discriminator)\b|(^|/)(gen|dis|netg|netd)/loss|^d_(real|fake)",
    ),
    ("reward", r"reward|episodic_return|episode_return|ep_rew|^return|average_?return|ep_ret"),
    (
        "loss",
        r"loss|^(mse|rmse|mae|bce|nll|cross_?entropy|xent|objective|criterion|logloss|log_loss|elbo|bpc|bpb|perplexity|ce_mean_words"
        r"|cross_entropy|binary_logloss|multi_logloss|mlogloss|cost|ce|box|obj|cls|dfl)$|perplexity|_nll$|_xent$",
    ),
    (
        "score",
        r"acc|auroc|auc|f1|precision|recall|tpr|fpr|bleu|rouge|meteor|cider|chrf|wer\b|cer\b|per\b|eer|map|^ap|_ap\b"
        r"|iou|dice|psnr|ssim|lpips|fid|inception|r2|rmse|mse|mae|mape|smape|error|err\b|corr|pearson|spearman|kappa"
        r"|mcc|ndcg|mrr|hit|sharpe|score|fitness|success|win_?rate|exact_match|em$|correct|average_precision|sensitivity"
        r"|specificity|kendall|ic$|ic_|gini|brier|ece|hausdorff|top\d|pck|miou|las$|uas$|bertscore|fbeta|jaccard"
        r"|^(?:ents|sents|spans_\w+|cats|ner|box|mask|pose)_(?:macro_|micro_)?[fpr]$",
    ),
)
_ROLE_PATTERNS = tuple((role, re.compile(pattern)) for role, pattern in _ROLES)

_LOWER = re.compile(
    r"loss|nll|entropy|xent|perplexity|error|(^|_)err(_|$)|mse|mae|mape|wer\b|cer\b|eer|fid|fpr|lpips|brier|ece"
    r"|hausdorff|bpc|bpb|ce_mean_words|false_(positive|negative)_rate|^cost|^(box|obj|cls|dfl)$"
)
_HIGHER = re.compile(
    r"acc|auroc|auc|f1|precision|recall|tpr|bleu|rouge|meteor|cider|chrf|map|^ap|_ap\b|iou|dice|psnr|ssim|inception"
    r"|r2|corr|pearson|spearman|kappa|mcc|ndcg|mrr|hit|sharpe|success|win_?rate|exact_match|average_precision"
    r"|sensitivity|specificity|kendall|gini|rew|return|ep_ret|jaccard|fbeta|pck|las$|uas$|top\d|correct|^score$|_score$|fitness"
    r"|^(?:ents|sents|spans_\w+|cats|ner|box|mask|pose)_(?:macro_|micro_)?[fpr]$"
)

# Canonical fact: its spellings, already lower case with "_" between words.
_FACTS = {
    "epochs": (
        "n_epochs num_epochs max_epochs epoch_num total_epochs num_train_epochs nb_epochs n_epoch num_epoch "
        "max_epoch training_epochs"
    ),
    "steps": (
        "max_steps total_steps max_iters num_steps train_iters n_steps num_train_steps max_iter "
        "total_optimization_steps num_iterations total_iterations training_steps iterations max_updates "
        "num_training_steps train_steps total_training_steps"
    ),
    "steps_per_epoch": (
        "train_batches batches_per_epoch iters_per_epoch num_batches steps_each_epoch num_train_batches "
        "n_train_batches num_update_steps_per_epoch iterations_per_epoch train_steps_per_epoch updates_per_epoch "
        "steps/epoch batches/epoch iters/epoch iterations/epoch len(train_loader) len(train_dataloader)"
    ),
    "batch_size": (
        "batch batchsize train_batch_size per_device_train_batch_size bs batch_size_train train_batchsize "
        "per_gpu_train_batch_size micro_batch_size instantaneous_batch_size_per_device batch_size_per_gpu "
        "samples_per_gpu"
    ),
    "global_batch_size": "total_batch_size total_train_batch_size effective_batch_size",
    "lr": "learning_rate base_lr initial_lr lr0 max_lr peak_lr init_lr learningrate learn_rate",
    "weight_decay": "wd weightdecay l2",
    "dropout": "dropout_rate drop_rate dropout_p drop",
    "num_workers": (
        "workers n_workers dataloader_num_workers loader_workers workers_per_gpu num_worker data_workers "
        "dataloader_workers"
    ),
    "world_size": (
        "n_gpus num_gpus gpus num_processes nproc nproc_per_node n_gpu ngpus ngpu num_devices num_replicas world"
    ),
    "grad_accum": (
        "gradient_accumulation_steps accumulate_grad_batches accumulation_steps grad_accumulation "
        "grad_accumulation_steps accum_steps update_freq accum_iter gradient_accumulation iter_size accum_grad"
    ),
    "n_train": (
        "train_samples num_train train_size num_train_samples training_samples n_train_samples num_examples "
        "train_examples training_examples num_training_samples train_dataset_size samples_train trainset_size "
        "train_set_size num_train_examples training_set_size train_len n_samples_train train_images "
        "training_images number_of_training_samples number_of_training_examples number_of_rows_in_train train_rows "
        "training_rows train_data_size training_data_size len(train_dataset) len(train_set) "
        "len(train_data)"
    ),
    "n_val": (
        "val_samples num_val val_size num_val_samples validation_samples valid_samples n_valid val_examples "
        "validation_examples eval_samples val_dataset_size dev_samples valid_size validation_size n_val_samples "
        "num_valid val_images validation_set_size num_validation_samples num_valid_samples num_validation_examples "
        "num_val_examples eval_num_examples"
    ),
    "n_eval": "max_eval_samples max_val_samples limit_val_samples eval_subset_size val_subset_size",
    "val_batches": "num_val_batches validation_batches valid_batches n_val_batches",
    "device": "accelerator",
    "seed": "random_seed manual_seed random_state rng_seed",
    "scheduler": "lr_scheduler lr_scheduler_type sched lr_schedule scheduler_type lr_policy schedule",
    "optimizer": "optim opt optimiser optimizer_name solver",
    "patience": "early_stopping_patience early_stop_patience es_patience early_stopping_rounds",
    "monitor": "metric_for_best_model monitor_metric early_stopping_metric best_metric_name",
    "precision": "dtype mixed_precision amp_dtype",
    "model": "arch architecture model_name model_type network",
    "time_limit": (
        "timelimit job_time_limit slurm_time_limit sbatch_time wall_time_limit walltime_limit walltime max_walltime "
        "max_time max_runtime max_training_time time_budget"
    ),
    "time_limit_hours": "time_limit_h limit_hours max_hours max_time_hours time_budget_hours walltime_hours",
    "time_limit_minutes": "time_limit_min limit_minutes max_minutes max_time_minutes time_budget_minutes",
    "time_limit_seconds": "time_limit_s time_limit_sec limit_seconds max_seconds max_time_seconds time_budget_seconds",
}
_FACT_OF = {other: key for key, others in _FACTS.items() for other in (key, *others.split())}


class Name(NamedTuple):
    """A label, understood: ``split`` is "" when the label names none."""

    split: str
    metric: str


@lru_cache(maxsize=65536)
def parse(label: str) -> Name:
    """Splits a printed label into split and canonical metric.

    ``Val Loss``, ``val_loss``, ``eval/loss`` and ``loss_val`` all give ``("val", "loss")``; a label without a
    split word gives the split "".
    """
    split, rest = _take_split(words(label))
    metric = "_".join(_without_cadence(_without_heading(_without_small_words(rest)))).replace("_/_", "/")
    return Name(split, _CANONICAL.get(metric, metric))


def words(label: str) -> list[str]:
    """Lower-case words of a label; "/" stays a word of its own because hierarchies carry meaning."""
    text = _AT.sub("@", label.strip().replace("'s", "").replace("IoU", "iou"))
    text = english(_CAMEL.sub(r"\1_\2", text).lower())
    text = _GLUED.sub(r"\1_\2", _HELD_OUT.sub("heldout", _IN_SAMPLE.sub("train", text)))
    text = _EXPONENT.sub(r"\1~\2", text)  # the hyphen of 1e-05 is no separator
    parts = re.split(r"[\s\-_:|()\[\]]+|(/)|\.(?=[a-z\s_\-]|$)", text)
    return [english_word(part).replace("~", "-") for part in parts if part]


def english(text: str) -> str:
    """Text in lower case with the words of other scripts that name training in English, set apart by spaces."""
    return text if text.isascii() else _FOREIGN.sub(lambda found: f" {_ENGLISH[found[0]]} ", text)


def english_word(word: str) -> str:
    """A word in lower case that names something of training, in English; any other word as it is."""
    return _ENGLISH.get(word, word)


_HELD_OUT = re.compile(r"\bh[eo]ld[\s_-]out(?![a-z])|\bout[\s_-]of[\s_-]sample(?![a-z])")
_IN_SAMPLE = re.compile(r"(?<!of[\s_-])\bin[\s_-]sample(?![a-z])")
_GLUED = re.compile(r"\b(train|valid|val|test)(loss|acc|accuracy|error)(?![a-z])")
_CAMEL = re.compile(r"([A-Za-z][a-z])([A-Z])")  # mAP is one word
_AT = re.compile(r"\s*@\s*(?=\d)")  # "precision @ 5"
_EXPONENT = re.compile(r"(\de)-(\d)")


def _take_split(words: list[str]) -> tuple[str, list[str]]:
    """The split named first, last or inside (``full_valid_loss``), and the words without it."""
    if len({_SPLIT_OF[word] for word in words if word in _SPLIT_OF}) > 1:
        return "", words  # "Train-Val gap" is of neither
    order = [0, len(words) - 1, *range(1, len(words) - 1)]
    for at in order if len(words) > 1 else ():
        split = _SPLIT_OF.get(words[at])
        rest = _strip_slash(words[:at]) + _strip_slash(words[at + 1 :])
        if split and rest:
            # "valid_1's rmse": the number tells evaluation sets apart, which the label does already.
            return split, rest[1:] if at == 0 and len(rest) > 1 and rest[0].isdigit() else rest
    return "", words


def _without_small_words(words: list[str]) -> list[str]:
    """``loss of the validation`` and ``pérdida de validación`` are losses."""
    return [word for word in words if word not in _SMALL_WORDS] or words


_SMALL_WORDS = frozenset(("of", "the", "de", "del", "di", "da", "du", "des", "der", "la", "set"))


def _without_heading(words: list[str]) -> list[str]:
    """``metrics/mAP50`` and ``metrics:mcc`` say of a metric that it is one."""
    start = 2 if words[1:2] == ["/"] else 1
    return words[start:] if words[:1] in (["metrics"], ["metric"]) and len(words) > start else words


def _without_cadence(words: list[str]) -> list[str]:
    """``train_loss_step``, ``train_loss_epoch``, ``final_train_loss`` are one metric; the label keeps them apart."""
    last = len(words) - (len(words) > 1 and words[-1] in ("step", "epoch"))
    return words[len(words) > 1 and words[0] == "final" : last]


def _strip_slash(words: list[str]) -> list[str]:
    start = 1 if words[:1] == ["/"] else 0
    end = len(words) - 1 if words[-1:] == ["/"] else len(words)
    return words[start:end]


@lru_cache(maxsize=65536)
def role(metric: str) -> Role:
    """The part a canonical metric plays in training; ``other`` when the name does not tell."""
    return next((role for role, pattern in _ROLE_PATTERNS if pattern.search(metric)), "other")


@lru_cache(maxsize=65536)
def direction(metric: str) -> Direction | None:
    """Which way is better for a canonical metric, or None when the name does not tell."""
    if role(metric) not in ("loss", "score", "reward"):
        return None
    measured = metric.partition("@")[0]  # tpr@fpr0.01 is a tpr
    if _LOWER.search(measured):
        return "min"
    return "max" if _HIGHER.search(measured) else None


_SETTING = re.compile(
    r"(^|_|/)(weight|weights|coef|coeff|lambda|smoothing|ratio|threshold|size|dim|beta|eps|epsilon|momentum|decay"
    r"|interval|every"
    r"|patience|warmup|layers|heads|hidden|target|clip|num|max|min_delta|factor|type|alpha|gamma|seed|workers"
    r"|dropout|thr|rank|world|parallel|port|pid|device)(_|$)"
)


def is_setting(label: str) -> bool:
    """Whether a label names a setting (``loss_weight``, ``max_steps``), whatever measurement it mentions."""
    metric = parse(label.removesuffix(" (avg)")).metric
    return bool(_SETTING.search(metric.partition("@")[0]))  # behind it stands the place on a curve


_PART_OF_LOSS = re.compile(r"^(?:box|obj|cls|dfl|seg|pose|kobj)(?:_loss)?$")


def is_part_of_loss(metric: str) -> bool:
    """Whether a canonical metric is what detectors print of their training loss, which no other split has bare."""
    return bool(_PART_OF_LOSS.match(metric))


def split_word(word: str) -> str | None:
    """The split a single word names (``Validation`` gives ``val``), or None."""
    return _SPLIT_OF.get(english_word(english(word.strip().lower()).strip()))


_TARGET = re.compile(
    r"^(?:(?:target|goal|required)[\s_.:-]+(?P<first>.+)|(?P<last>.+?)[\s_.-]+(?:target|goal)"
    r"|(?:expected|milestone)[\s_.:-]+(?P<due>.+))$"
)
_BY_EPOCH = re.compile(r"[\s_@(,]*(?:(?:at|by|in|after)[\s_]+)?epoch[\s_]*(?P<epoch>[0-9]+)\)?[\s_:,]*")


@lru_cache(maxsize=65536)
def fact_key(label: str) -> str:
    """The canonical fact a configuration key states, or the key in lower case with "_" between words."""
    return target_key(label) or _setting_key(label)


def target_key(label: str) -> str | None:
    """The key of a value to reach, None for a label that names none.

    ``Target val_acc`` gives ``target.val.accuracy``, ``expected accuracy by epoch 20`` gives
    ``target.accuracy@epoch20``.
    """
    found = _TARGET.match(label.strip().lower())
    text = (found["first"] or found["last"] or found["due"]) if found else ""
    epoch = _BY_EPOCH.search(text)
    if not found or (found["due"] and not epoch):
        return None
    split, metric = parse(_BY_EPOCH.sub("", text))
    # What is called a target besides is a setting of a method: target_kl, target_modules, target_return.
    if role(metric) not in ("loss", "score") and metric != "reward":
        return None
    name = f"{split}.{metric}" if split else metric
    return f"target.{name}@epoch{epoch['epoch']}" if epoch else f"target.{name}"


def _setting_key(label: str) -> str:
    key = re.sub(r"[\s\-.]+", "_", re.sub(r"([a-z])([A-Z])", r"\1_\2", label.strip().lstrip("-"))).lower().strip("_")
    key = re.sub(r"^(?:total_)?(?:number|no|#)_of_", "num_", key)
    return _FACT_OF.get(key, key)
