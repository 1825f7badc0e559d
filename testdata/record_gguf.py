"""Records blocks of random bytes in every quantised type of GGUF, and what the gguf package makes of them.

    pip install gguf==0.19.0 safetensors numpy
    python record_gguf.py

Random bytes have all codes and all signs, which blocks of quantised weights do not.
"""

from pathlib import Path

import numpy as np
from gguf import GGUFWriter, GGMLQuantizationType as Type, quants
from gguf.constants import GGML_QUANT_SIZES
from safetensors.numpy import save_file

BLOCKS = 4
random = np.random.default_rng(0)
folder = Path(__file__).parent / "gguf"
folder.mkdir(exist_ok=True)
writer = GGUFWriter(folder / "random.gguf", "none")
reference = {}
for kind in Type:
    elements, size = GGML_QUANT_SIZES[kind]
    if elements == 1 or kind.name in ("Q8_1", "Q8_K", "Q1_0"):
        continue
    blocks = []
    while len(blocks) < BLOCKS:
        block = random.integers(0, 256, (1, size), dtype=np.uint8)
        with np.errstate(all="ignore"):
            values = quants.dequantize(block, kind)
        # A scale that is random may be infinite, or no number.
        if np.isfinite(values).all() and np.abs(values).max() < 1e4:
            blocks.append(block)
    rows = np.concatenate(blocks)
    writer.add_tensor(kind.name, rows, raw_dtype=kind)
    reference[kind.name] = quants.dequantize(rows, kind)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
save_file(reference, folder / "random.safetensors")
