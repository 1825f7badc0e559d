"""Records small random U-Nets of diffusers, for the tests of ddm-models.

Usage:
    pip install diffusers torch safetensors     (recorded with diffusers 0.42.1, torch 2.15.0)
    python record_unets.py FOLDER

FOLDER receives one directory a network, as save_pretrained writes it, with reference.safetensors:
the inputs x, t and (for classes) labels, and the prediction out.
"""

import json
import pathlib
import sys

import torch
from diffusers import UNet2DModel
from safetensors.torch import load_file, save_file

torch.set_num_threads(1)
torch.set_grad_enabled(False)

# Widths are small and uneven, and x is not square, so that a mixed-up axis shows.
NETWORKS = {
    # The settings of google/ddpm-cifar10-32, with three levels, of which the second has attention.
    "ddpm": dict(
        block_out_channels=(4, 6, 8),
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        layers_per_block=2,
        norm_num_groups=2,
        norm_eps=1e-6,
        downsample_padding=0,
        flip_sin_to_cos=False,
        freq_shift=1,
        attention_head_dim=None,
    ),
    # The defaults of UNet2DModel, with classes, two heads and a learned variance.
    "classes": dict(
        block_out_channels=(6, 10),
        out_channels=6,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=2,
        attention_head_dim=5,
        num_class_embeds=7,
    ),
    # The names that attention had in old checkpoints, and no attention in the middle.
    "old_names": dict(
        block_out_channels=(4, 8),
        down_block_types=("AttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "AttnUpBlock2D"),
        layers_per_block=1,
        norm_num_groups=4,
        attention_head_dim=4,
        add_attention=False,
    ),
}
OLD_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def randomize(network, seed):
    """Moves every parameter off its start, and enlarges queries and keys: attention that is far
    from uniform, and no zeros that would hide a mistake."""
    torch.manual_seed(seed)
    for name, parameter in network.named_parameters():
        if parameter.ndim == 1 or "conv2" in name or "conv_out" in name:
            parameter.add_(0.1 * torch.randn(parameter.shape))
        if "to_q.weight" in name or "to_k.weight" in name:
            parameter.mul_(3.0)
    return network.eval()


def old_names(file):
    weights = {}
    for name, tensor in load_file(file).items():
        for new, old in OLD_NAMES.items():
            name = name.replace(f".{new}.", f".{old}.")
        weights[name] = tensor
    save_file(weights, file, metadata={"format": "pt"})


for seed, (name, settings) in enumerate(NETWORKS.items()):
    folder = pathlib.Path(sys.argv[1]) / name
    torch.manual_seed(seed)
    network = randomize(UNet2DModel(sample_size=8, in_channels=3, **settings), seed + 100)
    network.save_pretrained(folder)
    if name == "old_names":
        old_names(folder / "diffusion_pytorch_model.safetensors")
    torch.manual_seed(seed + 200)
    inputs = {"x": torch.randn(2, 3, 8, 12), "t": torch.tensor([3.0, 977.0])}
    labels = torch.tensor([6, 2]) if "num_class_embeds" in settings else None
    out = network(inputs["x"], inputs["t"], class_labels=labels).sample
    exact = network.double()
    exact.time_proj.register_forward_hook(lambda module, args, y: y.double())
    exact = exact(inputs["x"].double(), inputs["t"], class_labels=labels).sample
    error = float((out - exact).abs().max() / exact.abs().max())
    if labels is not None:
        inputs["labels"] = labels
    save_file({**inputs, "out": out.contiguous()}, folder / "reference.safetensors")
    print(name, "rounding of f32:", f"{error:.1e}", json.dumps(settings))
