"""Normal and uniform numbers of torch's CPU generator, each list from a new `torch.Generator().manual_seed(seed)`, several draws
in a row. Values have 9 digits in float32 and 17 in float64. `large` draws are kept as sums and every 997th number.
usage: torch_randn.py FILE   (torch 2.15.0, on a processor with AVX2)"""
import json, sys, torch

TYPES = {"float32": torch.float32, "float64": torch.float64, "float16": torch.float16, "bfloat16": torch.bfloat16}
SIZES = ([1], [5], [15], [16], [17], [31], [32], [100], [3, 5], [1, 1, 1], [15, 16], [16, 3, 16], [7, 20, 7], [64, 64])
digits = lambda values, name: [float(f"{v:.{17 if name == 'float64' else 9}g}") for v in values.flatten().double().tolist()]
cases = []


def record(what, seed, sizes, name, draw):
    generator = torch.Generator().manual_seed(seed)
    draws = [digits(draw(n, generator=generator, dtype=TYPES[name]), name) for n in sizes]
    cases.append({"what": what, "seed": seed, "sizes": sizes, "dtype": name, "draws": draws})


for seed in (0, 1, 42, 1234567, 2**32 + 5, 2**63 - 1):
    for sizes in SIZES:
        record("randn", seed, sizes, "float32", torch.randn)
for name in ("float64", "float16", "bfloat16"):
    for sizes in ([5], [16], [40, 3], [3, 40, 17, 1, 31]):
        record("randn", 42, sizes, name, torch.randn)
for seed in (0, 42):
    record("rand", seed, [3, 20], "float32", torch.rand)
large = []
for name in TYPES:
    z = torch.randn(100_003, generator=torch.Generator().manual_seed(42), dtype=TYPES[name])
    total, squares = float(z.double().sum()), float((z.double() ** 2).sum())
    large.append({"seed": 42, "size": z.numel(), "dtype": name, "every_997th": digits(z[::997], name), "last": digits(z[-16:], name), "sum": total, "sum_of_squares": squares})
json.dump({"source": f"torch {torch.__version__}, CPU generator (mt19937)", "cases": cases, "large": large}, open(sys.argv[1], "w"), separators=(",", ":"))
print(len(cases))
