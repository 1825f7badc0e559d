"""Records runs of diffusers' schedulers, for the `replay` program.

Usage:
    pip install diffusers torch scipy
    python record_schedulers.py CASES.json FOLDER
    cargo run --release -p ddm-diffusers --example replay -- FOLDER/*.json

CASES.json is a list of cases, as `scheduler_cases.json` beside this script has them:
    {"scheduler": "DDIMScheduler",        the class
     "name": "ddim eta 0.5",              what is special about the case
     "steps": 10,                         number of steps
     "config": {"beta_end": 0.02},        arguments of the constructor
     "step": {"eta": 0.5},                arguments of each step (optional)
     "set_timesteps": {"mu": 0.8},        arguments of set_timesteps beside the steps (optional)
     "seed": 0}                           of the scheduler's noise (optional)

FOLDER receives one file a class. A case there has the whole config, the timesteps and sigmas, the
start x_T (before it is multiplied by init_noise_sigma), every Gaussian draw in order, and x after
every call of step, in the scheduler's own coordinates. The network is
F(x, t) = 0.5 tanh(x + t/1000) + 0.3 x. A case that fails, or ends in numbers that are not finite, is
named and left out.
"""

import inspect
import json
import math
import pathlib
import sys
import warnings

import diffusers
import torch
from diffusers import schedulers
from diffusers.utils import torch_utils

SHAPE = (2, 3, 4, 4)
START_SEED = 7


class Draws:
    """Stands in for diffusers' source of noise and keeps what it gave."""

    def __init__(self):
        self.original = torch_utils.randn_tensor
        self.kept = []

    def __call__(self, shape, generator=None, device=None, dtype=None, layout=None):
        self.kept.append(self.original(tuple(shape), generator=generator, dtype=dtype))
        return self.kept[-1].clone()

    def listen_to(self, kind):
        self.kept = []
        module = sys.modules[kind.__module__]
        if hasattr(module, "randn_tensor"):
            module.randn_tensor = self


def network(x, t):
    return 0.5 * torch.tanh(x + float(t) / 1000.0) + 0.3 * x


def numbers(tensor):
    return [float(f"{value:.9g}") for value in tensor.flatten().double().tolist()]


def record(case, draws):
    kind = getattr(schedulers, case["scheduler"])
    draws.listen_to(kind)
    scheduler = kind(**case["config"])
    scheduler.set_timesteps(case["steps"], **case.get("set_timesteps", {}))
    arguments = dict(case.get("step", {}))
    if "generator" in inspect.signature(scheduler.step).parameters:
        arguments["generator"] = torch.Generator().manual_seed(case.get("seed", 0))

    start = torch.randn(SHAPE, generator=torch.Generator().manual_seed(START_SEED))
    scale = float(getattr(scheduler, "init_noise_sigma", 1.0))
    x, timesteps, path = start * scale, [], []
    for t in scheduler.timesteps:
        seen = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        x = scheduler.step(network(seen, t), t, x, **arguments).prev_sample
        timesteps.append(float(t))
        path.append(numbers(x))
    if not all(math.isfinite(value) for value in path[-1]):
        raise ValueError("the result is not finite")

    sigmas = getattr(scheduler, "sigmas", None)
    config = {key: value for key, value in scheduler.config.items() if not key.startswith("_")}
    return {
        "name": case["name"],
        "scheduler": case["scheduler"],
        "scheduler_config": {"_class_name": case["scheduler"], **config},
        "steps": case["steps"],
        "set_timesteps": case.get("set_timesteps", {}),
        "step_args": case.get("step", {}),
        "shape": list(SHAPE),
        "timesteps": timesteps,
        "sigmas": None if sigmas is None else numbers(sigmas),
        "init_noise_sigma": scale,
        "x_T": numbers(start),
        "noise": [numbers(z) for z in draws.kept],
        "x": path,
    }


def main(cases, folder):
    warnings.filterwarnings("ignore")
    draws, recorded, failed = Draws(), {}, []
    for case in json.loads(pathlib.Path(cases).read_text()):
        try:
            recorded.setdefault(case["scheduler"], []).append(record(case, draws))
        except Exception as error:
            failed.append(f"{case['name']}: {type(error).__name__}: {error}")
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    versions = f"diffusers {diffusers.__version__}, torch {torch.__version__}, float32, CPU"
    for kind, runs in recorded.items():
        content = {"source": versions, "network": "0.5*tanh(x + t/1000) + 0.3*x", "cases": runs}
        text = json.dumps(content, separators=(",", ":"))
        (folder / f"{kind}.json").write_text(text + "\n")
    print(sum(map(len, recorded.values())), "cases recorded")
    for line in failed:
        print("failed:", line)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
