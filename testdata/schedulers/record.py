"""Records runs of diffusers' schedulers, one JSON file a scheduler: python record.py FOLDER."""

import importlib
import json
import sys

import diffusers
import torch
from diffusers import schedulers
from diffusers.utils import torch_utils

SHAPE, STEPS = (2, 3, 4, 4), 10
BASE = {"num_train_timesteps": 1000, "clip_sample": False}
LINEAR = {"beta_schedule": "linear", "beta_start": 0.0001, "beta_end": 0.02}
SCALED = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
COSINE = {"beta_schedule": "squaredcos_cap_v2"}
CASES = {
    "DDIMScheduler": {
        "ddim linear leading epsilon": {**LINEAR, "timestep_spacing": "leading"},
        "ddim cosine trailing v_prediction": {
            **COSINE, "timestep_spacing": "trailing", "prediction_type": "v_prediction"
        },
    },
    "DDPMScheduler": {
        "ddpm scaled_linear trailing epsilon": {**SCALED, "timestep_spacing": "trailing"},
        "ddpm variance fixed_large": {
            **LINEAR, "variance_type": "fixed_large", "clip_sample": True
        },
        "ddpm thresholding": {**LINEAR, "thresholding": True, "sample_max_value": 1.5},
    },
}
draws = []


def recorded_noise(shape, generator=None, device=None, dtype=None, layout=None):
    draws.append(torch_utils.randn_tensor(tuple(shape), generator=generator, dtype=dtype))
    return draws[-1]


def network(x, t):
    return 0.5 * torch.tanh(x + float(t) / 1000.0) + 0.3 * x


def numbers(tensor):
    return [float(f"{value:.9g}") for value in tensor.flatten().double().tolist()]


def record(name, kind, settings):
    cls = getattr(schedulers, kind)
    importlib.import_module(cls.__module__).randn_tensor = recorded_noise
    scheduler = cls(**{**BASE, **settings})
    scheduler.set_timesteps(STEPS)
    draws.clear()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(7))
    start, path = numbers(x), []
    for t in scheduler.timesteps:
        x = scheduler.step(network(x, t), t, x, generator=generator).prev_sample
        path.append(numbers(x))
    config = {k: v for k, v in dict(scheduler.config).items() if not k.startswith("_")}
    return {
        "x_T": start, "name": name, "scheduler": kind,
        "scheduler_config": {"_class_name": kind, **config}, "steps": STEPS, "step_args": {},
        "shape": list(SHAPE), "timesteps": [float(t) for t in scheduler.timesteps],
        "noise": [numbers(z) for z in draws], "x": path,
    }


for kind, cases in CASES.items():
    source = f"diffusers {diffusers.__version__}, torch {torch.__version__}, float32, CPU"
    runs = [record(name, kind, settings) for name, settings in cases.items()]
    with open(f"{sys.argv[1]}/{kind}.json", "w") as file:
        formula = "0.5*tanh(x + t/1000) + 0.3*x"
        json.dump({"source": source, "network": formula, "cases": runs}, file,
                  separators=(",", ":"))
