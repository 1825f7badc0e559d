"""Further outputs of the text-conditional U-Nets in testdata/models: masked texts, and images whose
sides are no multiples of the network's factor.

    python record_unet_extras.py

diffusers 0.42.1, torch 2.15 (CPU). Writes `extras.safetensors` beside each `reference.safetensors`.
"""

from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file

MODELS = Path(__file__).parent / "models"


def record(name, odd):
    directory = MODELS / name
    network = UNet2DConditionModel.from_pretrained(directory).eval()
    given = load_file(directory / "reference.safetensors")
    x, t, text = given["x"], given["t"], given["encoder_hidden_states"]
    mask = torch.ones(text.shape[:2])
    mask[0, 3:] = 0
    mask[1, 5:] = 0
    with torch.no_grad():
        kept = {
            "mask": mask,
            "out_masked": network(x, t, text, encoder_attention_mask=mask).sample,
        }
        if odd:
            cropped = x[:, :, :13, :11].contiguous()
            kept |= {"x_odd": cropped, "out_odd": network(cropped, t, text).sample}
    save_file(kept, directory / "extras.safetensors")


record("unet2d-condition-sd15", odd=True)
record("unet2d-condition-if", odd=False)
