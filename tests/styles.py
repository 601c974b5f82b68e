"""Small logs in the styles people print, made of the same curve: what is in them is known."""

from __future__ import annotations

import math

EPOCHS = 9


def loss(epoch: int) -> float:
    """The training loss of an epoch, which every log of this module tells."""
    return round(2 * math.exp(-epoch / 3) + 0.1234, 4)


def val(epoch: int) -> float:
    """The validation loss."""
    return round(loss(epoch) * 1.1 + 0.0007, 4)


def acc(epoch: int) -> float:
    """The validation accuracy."""
    return round(1 - loss(epoch) / 2.7, 4)


# {e}: epoch from 1, {i}: epoch from 0, {t}: train loss, {v}: validation loss, {a}: validation accuracy.
# "\n" divides lines; each style tells train loss and validation loss of every epoch.
STYLES = {
    "pipes": "Epoch {e}/9 | Train Loss: {t:.4f} | Val Loss: {v:.4f} | Val Acc: {a:.4f} | LR: 1.00e-03",
    "emoji": "🚀 Epoch {e:02d} ✅ train_loss={t:.4f} 📉 val_loss={v:.4f} 🎯 val_acc={a:.4f}",
    "brackets": "[Epoch {e}] loss: {t:.4f} (val {v:.4f})",
    "tabs": "Epoch: {e} \tTraining Loss: {t:.4f} \tValidation Loss: {v:.4f}",
    "pair": "Epoch {e}: loss (train/val) = {t:.4f}/{v:.4f}",
    "pair before": "Epoch {e} train/val loss: {t:.4f} / {v:.4f}",
    "quantity": "Epoch {e} - Loss: train {t:.4f}, val {v:.4f}",
    "sentence": "After epoch {e}, the training loss is {t:.4f} and the validation loss is {v:.4f}.",
    "behind its counter": "Training loss at epoch {e}: {t:.4f}\nValidation loss at epoch {e}: {v:.4f}",
    "angles": "<epoch:{e}> <train_loss:{t:.4f}> <val_loss:{v:.4f}>",
    "stars": "*** Epoch: {e} *** train loss: {t:.4f} *** val loss: {v:.4f} ***",
    "split first": "TRAIN epoch {e} loss {t:.4f}\nVALID epoch {e} loss {v:.4f}",
    "headings": "Epoch {e}/9\n----------\ntrain Loss: {t:.4f} Acc: 0.5000\nval Loss: {v:.4f} Acc: {a:.4f}",
    "nested dict": "{{'epoch': {e}, 'train': {{'loss': {t:.4f}}}, 'val': {{'loss': {v:.4f}}}}}.",
    "tensors": "epoch {e} train loss tensor({t:.4f}, device='cuda:0') val loss tensor({v:.4f}, grad_fn=<Mean0>)",
    "numpy": "epoch={e} {{'loss': np.float64({t:.4f}), 'val_loss': np.float32({v:.4f})}}",
    "none": "Epoch {e}: grad=None train_loss={t:.4f} f1=None val_loss={v:.4f}",
    "logging": "2025-05-01 10:0{e}:00,123 INFO train.py:87 - epoch {e} train loss {t:.4f} valid loss {v:.4f}",
    "logger": "2025-05-01 10:0{e}:00 - INFO - my.package.trainer - Epoch {e} - loss: {t:.4f} - val_loss: {v:.4f}",
    "loguru": "2025-05-01 10:0{e}:00.123 | INFO  | __main__:train:87 - Epoch {e} | loss: {t:.4f} | val_loss: {v:.4f}",
    "absl": "I0501 10:0{e}:00.123456 139872 train.py:55] epoch={e}, train_loss={t:.4f}, val_loss={v:.4f}",
    "container": "2025-05-01T10:0{e}:00.123456789Z stdout F epoch {e} train loss {t:.4f} val loss {v:.4f}",
    "logfmt": 'time="2025-05-01T10:0{e}:00Z" level=info msg="epoch done" epoch={e} loss={t:.4f} val_loss={v:.4f}',
    "structlog": "2025-05-01 10:0{e}:00 [info     ] epoch_done           epoch={e} loss={t:.4f} val_loss={v:.4f}",
    "wrapped": '{{"time": "2025-05-01T10:0{e}:00Z", "message": "epoch {e} loss={t:.4f} val_loss={v:.4f}"}}',
    "glued": "(main) [INFO] ep{e:03d} trn_loss:{t:.4f} vld_loss:{v:.4f}",
    "durations": "Epoch {e} time: 1m 2{e}s loss: {t:.4f} val_loss: {v:.4f} eta: 0:12:3{e}",
    "ranks": (
        "[rank0]: epoch {e} | train loss {t:.4f} | val loss {v:.4f}\n"
        "[rank1]: epoch {e} | train loss 9.1{e} | val loss 9.2{e}"
    ),
    "processes": (
        "[GPU0] epoch {e} | train loss {t:.4f} | val loss {v:.4f}\n"
        "[GPU1] epoch {e} | train loss 9.1{e} | val loss 9.2{e}"
    ),
    "heading alone": "Epoch {e}:\n  train:\n    loss: {t:.4f}\n  val:\n    loss: {v:.4f}",
    "number sign": "epoch #{e} => trainloss {t:.4f}, valloss {v:.4f}",
    "short splits": "epoch {e}: loss_tr={t:.4f} loss_va={v:.4f}",
    "held out": "epoch {e}: in-sample loss {t:.4f}, held-out loss {v:.4f}",
    "subscripts": "Epoch {e}: loss[train]={t:.4f} loss[val]={v:.4f}",
    "tracing": "2025-05-01T10:0{e}:00.123Z  INFO fit: epoch complete epoch={e} train_loss={t:.4f} val_loss={v:.4f}",
    "boxed info": "┌ Info: epoch done\n│   epoch = {e}\n│   train_loss = {t:.4f}\n└   val_loss = {v:.4f}",
    "syslog": "<14>May  1 10:0{e}:00 host train: epoch {e} train_loss {t:.4f} val_loss {v:.4f}",
    "turned": "Epoch {e}/9\n| Metric | Train  | Val    |\n|--------|--------|--------|\n| Loss   | {t:.4f} | {v:.4f} |",
    "German": "Epoche {e}/9: Verlust: {t:.4f}, Val.-Verlust: {v:.4f}",
    "Chinese": "第{e}轮 训练损失：{t:.4f} 验证损失：{v:.4f} 准确率：{a:.4f}",
    "Korean": "에폭 {e}: 학습 손실 {t:.4f}, 검증 손실 {v:.4f}",
    "Japanese": "エポック {e}: 損失={t:.4f} 検証損失={v:.4f}",
    "Spanish": "Época {e}/9 - pérdida: {t:.4f} - pérdida de validación: {v:.4f}",
}
_TABLES = {
    "csv": ("epoch,train_loss,val_loss\n", "{e},{t:.4f},{v:.4f}"),
    "drawn table": (
        "┃ Epoch ┃ Loss     ┃ Val Loss ┃\n┡━━━━━━━╇━━━━━━━━━━╇━━━━━━━━━━┩\n",
        "│ {e:5d} │ {t:.4f}   │ {v:.4f}   │",
    ),
    "columns": (
        "Starting\n\n  epoch  train_loss  valid_loss\n-------  ----------  ----------\n",
        "{e:7d}  {t:10.4f}  {v:10.4f}",
    ),
    "json lines": ("", '{{"epoch": {e}, "train_loss": {t:.4f}, "val_loss": {v:.4f}}}'),
}


def made(style: str) -> str:
    """The log of a style."""
    head, line = _TABLES.get(style) or ("", STYLES[style])
    return head + "".join(
        line.format(e=epoch, i=epoch - 1, t=loss(epoch), v=val(epoch), a=acc(epoch)) + "\n"
        for epoch in range(1, EPOCHS + 1)
    )


NAMES = (*STYLES, *_TABLES)
