"""Makes the work folder: networks, inputs, reference outputs and ONNX files.

usage: python benches/peers/networks.py FOLDER

FOLDER/NETWORK                          as diffusers' `save_pretrained` writes it, random weights
FOLDER/scheduler/scheduler_config.json  of the sampling case
FOLDER/CASE/reference.safetensors       inputs, and outputs that torch computed in double precision
FOLDER/CASE/model.onnx                  of the cases that only predict

The same seed makes the same files. They take about 0.5 GB.
"""
import argparse
from pathlib import Path

import torch
from diffusers import DDIMScheduler, UNet2DModel
from safetensors.torch import save_file

from cases import CASES

TRAINING_STEPS = 3
ADAMW = dict(lr=1e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
SAMPLING_STEPS = 20
SCHEDULER = dict(beta_start=1e-4, beta_end=0.02, beta_schedule="linear", clip_sample=False)

NETWORKS = {
    # The shape of google/ddpm-cifar10-32.
    "a": dict(
        sample_size=32, in_channels=3, out_channels=3,
        block_out_channels=(128, 256, 256, 256), layers_per_block=2,
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=None, norm_num_groups=32, norm_eps=1e-6,
        downsample_padding=0, flip_sin_to_cos=False, freq_shift=1,
    ),
    "b": dict(
        sample_size=28, in_channels=1, out_channels=1,
        block_out_channels=(32, 64, 64), layers_per_block=2,
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        attention_head_dim=8, norm_num_groups=8,
    ),
}


class Prediction(torch.nn.Module):
    """The network with a plain tensor as its output."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, sample, timestep):
        return self.network(sample, timestep, return_dict=False)[0]


def make_network(settings, seed):
    """Random weights. Constant ones (scales and biases of norms) are drawn too, so that they count."""
    torch.manual_seed(seed)
    network = UNet2DModel(**settings).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.numel() > 1 and parameter.std() == 0:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def inputs(network, batch, seed):
    """Noise as x, and whole timesteps, spread over all levels, as floats."""
    generator = torch.Generator().manual_seed(seed)
    config = network.config
    shape = (batch, config.in_channels, config.sample_size, config.sample_size)
    t = torch.linspace(999, 0, batch + 2)[1:-1].round()
    return torch.randn(shape, generator=generator), t


def forward(network, x, t):
    with torch.no_grad():
        return dict(x=x, t=t, output=Prediction(network)(x.double(), t))


def train(network, x, t):
    """The losses of the first steps, and the prediction after them."""
    target = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), **ADAMW)
    losses = []
    before = Prediction(network)(x.double(), t).detach()
    for _ in range(TRAINING_STEPS):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(Prediction(network)(x.double(), t), target.double())
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    network.eval()
    after = forward(network, x, t)["output"]
    moved = ((after - before).abs().max() / after.abs().max()).item()
    print(f"  {TRAINING_STEPS} training steps move the output by {moved:.1e} of its largest value")
    return dict(x=x, t=t, target=target, output=after, output_loss=torch.stack(losses))


def sample(network, x, _):
    """DDIM from x. `step_x` and `step_noise` are its coefficients: x' = step_x x + step_noise F."""
    scheduler = DDIMScheduler(**SCHEDULER)
    scheduler.set_timesteps(SAMPLING_STEPS)
    timesteps = scheduler.timesteps
    one = torch.ones(1, dtype=torch.float64)
    coefficients = [[scheduler.step(f * one, t, x * one).prev_sample for x, f in ((1, 0), (0, 1))]
                    for t in timesteps]
    step_x, step_noise = torch.tensor(coefficients, dtype=torch.float64).T
    state = x.double()
    with torch.no_grad():
        for t in timesteps:
            state = scheduler.step(Prediction(network)(state, t), t, state).prev_sample
    return dict(x=x, t=timesteps.float(), step_x=step_x, step_noise=step_noise, output=state)


KINDS = {"forward": forward, "train": train, "sample": sample}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder

    DDIMScheduler(**SCHEDULER).save_pretrained(folder / "scheduler")
    for seed, (name, settings) in enumerate(NETWORKS.items()):
        network = make_network(settings, seed)
        network.save_pretrained(folder / name)
        size = sum(p.numel() for p in network.parameters())
        print(f"{name}: {size / 1e6:.1f} M parameters", flush=True)
        for case_name, case in CASES.items():
            if case.network != name:
                continue
            place = folder / case_name
            place.mkdir(exist_ok=True)
            x, t = inputs(network, case.batch, seed)
            if case.kind == "forward":
                torch.onnx.export(Prediction(network).eval(), (x, t), place / "model.onnx", dynamo=True,
                                  input_names=["sample", "timestep"], output_names=["output"],
                                  external_data=False, verbose=False)
            double = UNet2DModel.from_pretrained(folder / name, low_cpu_mem_usage=False).double().eval()
            tensors = KINDS[case.kind](double, x, t)
            tensors = {k: v.float().contiguous() for k, v in tensors.items()}
            save_file(tensors, place / "reference.safetensors")
            size = tensors["output"].abs().max()
            print(f"{case_name}: largest output {size:.3g}", flush=True)


if __name__ == "__main__":
    main()
