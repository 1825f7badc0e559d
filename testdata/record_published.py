"""Scheduler configs in the raw form in which well-known checkpoints publish them, recorded step by step.
Usage: record_published.py CASES.json FILE.json.gz (published_cases.json and option_cases.json lie beside this script; a case: name, scheduler, raw, steps,
and where its pipeline uses them mu, timesteps, sigmas, set_timesteps_sigmas = linspace(1, 1/n, n); learned = a network with two heads;
repaint = [jump_length, jump_n_sample])"""
import gzip, json, sys, inspect, warnings, math
import torch, diffusers
import diffusers.schedulers as S
warnings.filterwarnings("ignore")
from diffusers.utils import torch_utils
orig = torch_utils.randn_tensor
draws = []
def rec(shape, generator=None, device=None, dtype=None, layout=None):
    z = orig(tuple(shape), generator=generator, device=torch.device("cpu"), dtype=dtype); draws.append(z.clone()); return z
SHAPE = (2, 3, 4, 4)
def F(x, t): return 0.5 * torch.tanh(x + float(t) / 1000.0) + 0.3 * x
def fl(t): return [float(f"{v:.9g}") for v in t.flatten().double().tolist()]
def run(c):
    cls = getattr(S, c["scheduler"], None) or getattr(diffusers, c["scheduler"])
    m = sys.modules[cls.__module__]
    if hasattr(m, "randn_tensor"): m.randn_tensor = rec
    sch = cls.from_config({k: v for k, v in c["raw"].items()}); draws.clear()
    n = c["steps"]; kw = {}
    if c.get("set_timesteps_sigmas"):
        import numpy as np; kw["sigmas"] = [float(v) for v in np.linspace(1.0, 1 / n, n)]
    if "sigmas" in c: kw["sigmas"] = c["sigmas"]
    if "mu" in c: kw["mu"] = c["mu"]
    if "timesteps" in c: kw["timesteps"] = c["timesteps"]
    if "timesteps" in kw: sch.set_timesteps(timesteps=kw["timesteps"])
    elif "sigmas" in kw: sch.set_timesteps(sigmas=kw["sigmas"], **({"mu": kw["mu"]} if "mu" in kw else {}))
    else: sch.set_timesteps(n, *c.get("repaint", []), **kw)
    gen = torch.Generator().manual_seed(0)
    x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(7)); out = {"x_T": fl(x)}
    x = x * float(getattr(sch, "init_noise_sigma", 1.0))
    sk = set(inspect.signature(sch.step).parameters); xs, ts = [], []
    old, ends = None, c["scheduler"] in ("SCMScheduler", "DDPMWuerstchenScheduler") or (c["scheduler"].startswith("LTX") and "sigmas" in kw)
    if "repaint" in c:
        known = torch.tanh(torch.randn(SHAPE, generator=torch.Generator().manual_seed(8))); mask = (torch.arange(4) % 2 == 0).float().expand(SHAPE).contiguous()
        t_last = sch.timesteps[0] + 1
    for i, t in enumerate(sch.timesteps[:-1] if ends else sch.timesteps):
        if "repaint" in c:
            t_last, before = t, t_last
            if t >= before: x = sch.undo_step(x, before, gen); continue
        xin = sch.scale_model_input(x, t) if hasattr(sch, "scale_model_input") else x
        f = F(xin, t); kws = {}
        if c.get("learned"): f = torch.cat([f, torch.tanh(x)], 1)
        if "generator" in sk: kws["generator"] = gen
        if c["scheduler"] == "CogVideoXDPMScheduler":
            x, old = sch.step(f, old, t, sch.timesteps[i - 1] if i > 0 else None, x, return_dict=False, generator=gen)
        else:
            if c["scheduler"] == "UnCLIPScheduler": kws["prev_timestep"] = sch.timesteps[i + 1] if i + 1 < len(sch.timesteps) else None
            if c["scheduler"] == "DDPMWuerstchenScheduler": t = t.expand(SHAPE[0])
            if "repaint" in c: kws.update(original_image=known, mask=mask)
            x = sch.step(f, t, x, **kws).prev_sample
        xs.append(fl(x)); ts.append(float(t.flatten()[0]))
    if not all(math.isfinite(v) for v in xs[-1]): raise ValueError("non-finite result")
    out.update(name=c["name"], scheduler=c["scheduler"], scheduler_config=c["raw"], steps=n, set_timesteps=kw, step_args={}, shape=list(SHAPE), timesteps=ts,
        sigmas=fl(sch.sigmas) if getattr(sch, "sigmas", None) is not None else None, init_noise_sigma=float(getattr(sch, "init_noise_sigma", 1.0)), noise=[fl(z) for z in draws], x=xs)
    if "repaint" in c: out["repaint"] = dict(known=fl(known), mask=fl(mask), jump_length=c["repaint"][0], jump_n_sample=c["repaint"][1])
    if c.get("learned"): out["variance_network"] = "tanh(x), the second half of the channels"
    return out
cases = []
for c in json.load(open(sys.argv[1])):
    try: cases.append(run(c))
    except Exception as e: print("BAD", c["name"], type(e).__name__, str(e)[:160])
content = json.dumps({"source": f"diffusers {diffusers.__version__}, torch {torch.__version__}, float32, CPU; scheduler_config as published", "network": "0.5*tanh(x + t/1000) + 0.3*x", "cases": cases}, separators=(",", ":"))
with open(sys.argv[2], "wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as out: out.write(content.encode())
print(len(cases))
