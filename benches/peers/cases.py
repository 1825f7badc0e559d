"""The cases: which network, how many images, what is done with them, and where their files are."""
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.numpy import load_file


class Case(NamedTuple):
    """One measurement: `kind` is forward, train or sample."""

    network: str
    batch: int
    kind: str
    tolerance: float
    """The largest error against the reference, as a part of the largest value."""


CASES = {
    "a1": Case("a", 1, "forward", 1e-5),
    "a4": Case("a", 4, "forward", 1e-5),
    "b16": Case("b", 16, "forward", 1e-5),
    "b64": Case("b", 64, "forward", 1e-5),
    "b64-train": Case("b", 64, "train", 1e-5),
    "b16-sample20": Case("b", 16, "sample", 1e-5),
}

TITLES = {
    "a1": "35.7 M U-Net of ddpm-cifar10-32, [1, 3, 32, 32], forward",
    "a4": "35.7 M U-Net of ddpm-cifar10-32, [4, 3, 32, 32], forward",
    "b16": "1.6 M U-Net, [16, 1, 28, 28], forward",
    "b64": "1.6 M U-Net, [64, 1, 28, 28], forward",
    "b64-train": "1.6 M U-Net, [64, 1, 28, 28], training step with AdamW",
    "b16-sample20": "1.6 M U-Net, [16, 1, 28, 28], DDIM in 20 steps",
}


def reference(folder, case):
    """The inputs of a case and the outputs that it must give, as numpy arrays by name."""
    return load_file(Path(folder) / case / "reference.safetensors")


def output_file(folder, case, contender):
    """Where a contender leaves the output of its first run."""
    return Path(folder) / case / f"output-{contender}.safetensors"


def error(folder, case, contender):
    """The largest difference between output and reference, divided by the largest reference value.

    NaN, and outputs of another shape or with other names, count as infinitely wrong.
    """
    found = load_file(output_file(folder, case, contender))
    expected = {k: v for k, v in reference(folder, case).items() if k.startswith("output")}
    worst = 0.0
    for name, value in expected.items():
        if name not in found or found[name].shape != value.shape:
            return float("inf")
        difference = np.abs(found[name].astype(np.float64) - value).max() / np.abs(value).max()
        worst = max(worst, float(difference) if np.isfinite(difference) else float("inf"))
    return worst
