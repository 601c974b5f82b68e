"""Logs of spaCy, sentence-transformers, TRL and CLU: ``python text.py FOLDER [NAME ...]``.

Models are made from their configuration; nothing is downloaded.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

SENTENCES = [
    f"{who} {does} {what}"
    for who in ("Anna", "Bert", "the cat", "a dog", "Carla")
    for does in ("sees", "likes", "eats", "paints")
    for what in ("an apple", "the house", "a fish", "Berlin", "music")
]


def spacy(work: Path) -> None:
    """Named entities; the table of ``spacy train``."""
    import spacy as library
    from spacy.tokens import DocBin

    blank = library.blank("en")
    for name, part in (("train", SENTENCES[::2]), ("dev", SENTENCES[1::2])):
        docs = DocBin()
        for text in part:
            doc = blank.make_doc(text)
            doc.ents = [library.tokens.Span(doc, at, at + 1, "NAME") for at, word in enumerate(doc) if word.is_title]
            docs.add(doc)
        docs.to_disk(work / f"{name}.spacy")
    run = [sys.executable, "-m", "spacy"]
    subprocess.run([*run, "init", "config", "config.cfg", "--pipeline", "ner"], cwd=work, check=True, stdout=sys.stderr)
    told = ["--paths.train", "train.spacy", "--paths.dev", "dev.spacy", "--training.max_steps", "120"]
    told += ["--training.eval_frequency", "20", "--training.logger.progress_bar", "false"]
    subprocess.run([*run, "train", "config.cfg", *told], cwd=work, check=True, stderr=subprocess.STDOUT)


def _small_bert(work: Path) -> Path:
    """A BERT of two thin layers over the words above, saved where others can load it."""
    from transformers import BertConfig, BertModel, BertTokenizer

    words = sorted({word for sentence in SENTENCES for word in sentence.lower().split()})
    (work / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
    BertTokenizer(str(work / "vocab.txt")).save_pretrained(work / "bert")
    config = BertConfig(
        vocab_size=len(words) + 5, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    BertModel(config).save_pretrained(work / "bert")
    return work / "bert"


def sentence_transformers(work: Path) -> None:
    """Similarity of sentences, evaluated within and at the end of epochs; also writes the evaluator's CSV."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.losses import CosineSimilarityLoss
    from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    bert = Transformer(str(_small_bert(work)))
    model = SentenceTransformer(modules=[bert, Pooling(32)], device="cpu")
    pairs = [(one, two) for one in SENTENCES[::4] for two in SENTENCES[1::5]]
    alike = [len(set(one.split()) & set(two.split())) / 3 for one, two in pairs]
    data = Dataset.from_dict({"a": [one for one, _ in pairs], "b": [two for _, two in pairs], "score": alike})
    told = SentenceTransformerTrainingArguments(
        str(work / "out"), num_train_epochs=2, per_device_train_batch_size=32, logging_steps=5, eval_strategy="steps",
        eval_steps=10, report_to=[], seed=0, use_cpu=True, save_strategy="no",
    )  # fmt: skip
    evaluator = EmbeddingSimilarityEvaluator(*zip(*pairs[::3], strict=True), alike[::3], name="pairs")
    sets = {"train_dataset": data, "eval_dataset": data.select(range(100)), "evaluator": evaluator}
    SentenceTransformerTrainer(model, told, loss=CosineSimilarityLoss(model), **sets).train()
    for epoch, steps in ((0, 5), (0, -1), (1, 15), (1, -1)):
        evaluator(model, output_path=str(work), epoch=epoch, steps=steps)


def trl(work: Path) -> None:
    """Preferences (DPO) of a small GPT-2."""
    from datasets import Dataset
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
    from trl import DPOConfig, DPOTrainer

    words = sorted({word for sentence in SENTENCES for word in sentence.split()})
    numbered = {word: at for at, word in enumerate(["<pad>", "<eos>", "<unk>", *words])}
    plain = Tokenizer(models.WordLevel(numbered, "<unk>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>")
    config = GPT2Config(vocab_size=len(words) + 3, n_positions=64, n_embd=32, n_layer=2, n_head=2)
    GPT2LMHeadModel(config).save_pretrained(work / "gpt")
    data = [{"prompt": " ".join(text.split()[:2]), "chosen": " an apple", "rejected": " music"} for text in SENTENCES]
    told = DPOConfig(
        str(work / "out"), num_train_epochs=2, per_device_train_batch_size=8, logging_steps=5, eval_strategy="epoch",
        report_to=[], seed=0, use_cpu=True, save_strategy="no", learning_rate=1e-3, bf16=False,
    )  # fmt: skip
    sets = {"train_dataset": Dataset.from_list(data), "eval_dataset": Dataset.from_list(data[:16])}
    DPOTrainer(str(work / "gpt"), None, told, processing_class=tokenizer, **sets).train()


def clu(_: Path) -> None:
    """The logging writer of CLU, which Flax examples use."""
    from unittest import mock

    import numpy as np
    from absl import logging

    # Only writers that are imported beside this one need TensorFlow.
    sys.modules.update({f"clu.metric_writers.{name}": mock.MagicMock() for name in ("summary_writer", "tf")})
    from clu import metric_writers

    logging.set_verbosity(logging.INFO)
    logging.use_absl_handler()
    writer = metric_writers.LoggingWriter()
    writer.write_hparams({"batch_size": 32, "learning_rate": 0.1})
    chance = np.random.default_rng(0)
    x, w = chance.normal(size=(128, 3)), np.zeros(3)
    y = x @ np.arange(3.0)
    for step in range(1, 61):
        rows = chance.integers(0, 128, 32)
        residual = y[rows] - x[rows] @ w
        w += 0.1 * x[rows].T @ residual / 32
        if step % 20 == 0:
            writer.write_scalars(step, {"train_loss": float(np.mean(residual**2)), "learning_rate": 0.1})
            writer.write_scalars(step, {"eval_loss": float(np.mean((y - x @ w) ** 2))})


MADE: dict[str, Callable[[Path], None]] = {
    "spacy": spacy,
    "sentence-transformers": sentence_transformers,
    "trl-dpo": trl,
    "clu": clu,
}


def main() -> None:
    """Each in a process of its own, whose whole output is the log."""
    out = Path(sys.argv[1])
    if os.environ.get("MAKE"):
        MADE[os.environ["MAKE"]](out)
        return
    for name in sys.argv[2:] or MADE:
        with tempfile.TemporaryDirectory() as work, (out / f"{name}.log").open("w") as log:
            subprocess.run(
                [sys.executable, __file__, work], stdout=log, stderr=subprocess.STDOUT, check=False,
                env={**os.environ, "MAKE": name, "HF_HUB_OFFLINE": "1", "COLUMNS": "100"},
            )  # fmt: skip
            for table in Path(work).glob("*_results.csv"):
                (out / f"{name}.csv").write_bytes(table.read_bytes())


if __name__ == "__main__":
    main()
