"""Records torch/: what torch.save writes, beside the same tensors as safetensors.

Needs torch and safetensors: python record_torch.py
"""

import os
import subprocess
from collections import OrderedDict

import torch
from safetensors.torch import save_file

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "torch"))
torch.manual_seed(0)

base = torch.randn(3, 4, 5)
tensors = OrderedDict(
    base=base,
    transposed=base.transpose(0, 2),
    every_second=base[:, ::2, 1:],
    scalar=torch.tensor(1.5),
    empty=torch.zeros(0, 3),
)
for dtype in [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
              torch.int8, torch.bool]:
    tensors[str(dtype).removeprefix("torch.")] = (base[0] * 3).to(dtype)
tensors["uint8"] = (base[0].abs() * 3).to(torch.uint8)
parameter = torch.nn.Parameter(base[0] + 1)
eight = {name: base[0].to(dtype) for name, dtype in
         [("float8_e4m3fn", torch.float8_e4m3fn), ("float8_e5m2", torch.float8_e5m2)]}

torch.save({**tensors, "parameter": parameter, **eight}, "types.pt")
torch.save({**tensors, "parameter": parameter}, "types_legacy.pt",
           _use_new_zipfile_serialization=False)
everything = {**tensors, "parameter": parameter.detach(), **eight}
save_file({name: tensor.clone().contiguous() for name, tensor in everything.items()},
          "types.safetensors")

# All 256 floats of 8 bits, and what torch makes of them.
bits = torch.arange(256, dtype=torch.uint8)
eight = {"e4m3": bits.clone().view(torch.float8_e4m3fn),
         "e5m2": bits.clone().view(torch.float8_e5m2)}
save_file({**eight, **{name + ".f32": tensor.float() for name, tensor in eight.items()}},
          "eight_bits.safetensors")

# A state dict has attributes, and a checkpoint has more than a state dict.
linear = torch.nn.Linear(3, 2)
torch.save(linear.state_dict(), "linear.bin")
save_file(linear.state_dict(), "linear.safetensors", metadata={"format": "pt"})
torch.save({"epoch": 3, "betas": torch.ones(2), "state_dict": linear.state_dict()}, "linear.ckpt")
torch.save({"model": {"inner": linear.state_dict()}, "step": 1.5}, "nested.pt")


class Code:
    """An object that would run a command when it is unpickled."""

    def __reduce__(self):
        return subprocess.getoutput, ("touch ran",)


torch.save({"weight": base, "code": Code()}, "code.pt")
torch.save({"weight": base, "code": Code()}, "code_legacy.pt", _use_new_zipfile_serialization=False)
torch.save({"model": linear}, "object.pt")
torch.save({"expanded": torch.zeros(1).expand(1 << 40)}, "expanded.pt")
