"""Logs of Lightning's two bars and of MONAI's engines: ``python loops.py FOLDER [NAME ...]``."""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from alone import each_alone
from torch import nn


def _data(count: int, seed: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Points of a plane, and on which side of a circle they lie."""
    x = torch.randn(count, 2, generator=torch.Generator().manual_seed(seed))
    return list(zip(x, (x.norm(dim=1) > 1.2).long(), strict=True))


def _net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))


def _lightning(bar: object) -> None:
    import lightning

    class Circle(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = _net()

        def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
            loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
            self.log("train_loss", loss, on_step=True, on_epoch=True, prog_bar=True)
            return loss

        def validation_step(self, batch: list[torch.Tensor], _: int) -> None:
            self.log("val_loss", nn.functional.cross_entropy(self.net(batch[0]), batch[1]), prog_bar=True)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), 0.5)

    trainer = lightning.Trainer(
        max_epochs=3, accelerator="cpu", callbacks=[bar], enable_checkpointing=False, logger=False, log_every_n_steps=5
    )
    batches = [torch.utils.data.DataLoader(_data(count, seed), 32) for count, seed in ((640, 1), (128, 2))]
    trainer.fit(Circle(), *batches)


def lightning_tqdm() -> None:
    """The default bar."""
    from lightning.pytorch.callbacks import TQDMProgressBar

    _lightning(TQDMProgressBar(refresh_rate=5))


def lightning_rich() -> None:
    """The coloured bar."""
    from lightning.pytorch.callbacks import RichProgressBar

    _lightning(RichProgressBar(refresh_rate=5, leave=True))


def monai() -> None:
    """A trainer that is validated each epoch."""
    import logging

    from ignite.metrics import Accuracy
    from monai.engines import SupervisedEvaluator, SupervisedTrainer
    from monai.handlers import StatsHandler, ValidationHandler, from_engine

    form = "%(asctime)s - %(name)s - %(levelname)s - %(message)s"
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format=form)
    train, val = (
        torch.utils.data.DataLoader([{"image": x, "label": y} for x, y in _data(count, seed)], 64)
        for count, seed in ((256, 1), (128, 2))
    )
    net = _net()

    def scored(output: list[dict[str, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.stack([each["pred"] for each in output]), torch.tensor([int(each["label"]) for each in output])

    quiet = StatsHandler(output_transform=lambda _: None)
    evaluator = SupervisedEvaluator("cpu", val, net, key_val_metric={"val_acc": Accuracy(scored)}, val_handlers=[quiet])
    told = StatsHandler(tag_name="train_loss", output_transform=from_engine(["loss"], first=True))
    optimizer, loss = torch.optim.SGD(net.parameters(), 0.5), nn.CrossEntropyLoss()
    handlers = [ValidationHandler(1, evaluator), told]
    SupervisedTrainer("cpu", 3, train, net, optimizer, loss, train_handlers=handlers).run()


MADE: dict[str, Callable[[], None]] = {
    "lightning-tqdm": lightning_tqdm,
    "lightning-rich": lightning_rich,
    "monai": monai,
}


if __name__ == "__main__":
    each_alone(MADE, COLUMNS="120")
