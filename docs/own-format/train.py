"""Trains logistic regression with numpy, and logs it in a style of one's own: `python train.py arrows > arrows.log`."""

import sys

import numpy as np


def train(style):
    """Stochastic gradient descent on 400 generated samples; 200 are held out."""
    random = np.random.default_rng(7)
    x = random.normal(size=(600, 8))
    y = (x @ random.normal(size=8) + random.normal(size=600) > 0).astype(float)
    weights = np.zeros(8)
    step = 0
    for epoch in range(12):
        for batch, rows in enumerate(np.split(random.permutation(400), 8)):
            step += 1
            loss, gradient = loss_of(weights, x[rows], y[rows])
            weights -= 0.3 * gradient
            print_batch(style, step, epoch, batch, loss)
        held_out, _ = loss_of(weights, x[400:], y[400:])
        hit = np.mean((x[400:] @ weights > 0) == y[400:])
        print_epoch(style, step, epoch, loss, held_out, hit)


def loss_of(weights, x, y):
    """Cross-entropy and its gradient."""
    p = 1 / (1 + np.exp(-x @ weights))
    loss = -np.mean(y * np.log(p + 1e-12) + (1 - y) * np.log(1 - p + 1e-12))
    return loss, x.T @ (p - y) / len(y)


def print_batch(style, step, epoch, batch, loss):
    """One line a batch, in the styles that have one."""
    if style == "arrows":
        print(f">> {step:05d} :: {loss:.4f}")
    elif style == "braces":
        print(f"E{epoch:02d}B{batch:02d} L{{{loss:.4f}}}")


def print_epoch(style, step, epoch, loss, held_out, hit):
    """One line an epoch."""
    if style == "arrows":
        print(f"<< held-out {held_out:.4f}")
    elif style == "braces":
        print(f"E{epoch:02d} *** L{{{held_out:.4f}}} hit {{{hit:.2%}}}")
    else:
        print(f"{step * 0.12:.1f}s\t{epoch}\t{loss:.5f}\t{held_out:.5f}")


if __name__ == "__main__":
    train(sys.argv[1])
