"""One contender on one case, in a process of its own. Prints one line of JSON.

usage: python benches/peers/contender.py NAME CASE FOLDER [--seconds S] [--threads N]

The first run is timed from the start of the process; its output is written to
FOLDER/CASE/output-NAME.safetensors and compared with the reference. Then follow runs that do not
count, and then those that do, for S seconds and at least ten of them.
"""
import argparse
import importlib.metadata
import json
import os
import statistics
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

import cases

# torch and others are imported by the contender that needs them: their memory and time count.


class Torch:
    """torch eager, with tensors in the usual layout."""

    packages = ("torch", "diffusers")
    kinds = ("forward", "train", "sample")

    def __init__(self, case, folder, threads):
        import torch
        from diffusers import UNet2DModel

        self.torch = torch
        torch.set_num_threads(threads)
        self.folder = folder
        training = case.kind == "train"
        torch.set_grad_enabled(training)
        network = UNet2DModel.from_pretrained(folder / case.network, low_cpu_mem_usage=False)
        self.network = self.arrange(network.train(training), training)

    def arrange(self, network, training):
        return network

    def tensor(self, array):
        return self.torch.from_numpy(array)

    def predict(self, x, t):
        return self.network(x, t, return_dict=False)[0]

    def sampler(self, data):
        """diffusers' own loop."""
        from diffusers import DDIMScheduler

        scheduler = DDIMScheduler.from_pretrained(self.folder / "scheduler")
        scheduler.set_timesteps(len(data["t"]))
        start = self.tensor(data["x"])

        def run():
            x = start
            for t in scheduler.timesteps:
                x = scheduler.step(self.predict(x, t), t, x).prev_sample
            return x

        return run

    def trainer(self, data):
        from networks import ADAMW

        x, t, target = (self.tensor(data[name]) for name in ("x", "t", "target"))
        optimizer = self.torch.optim.AdamW(self.network.parameters(), **ADAMW)

        def run():
            optimizer.zero_grad()
            loss = self.torch.nn.functional.mse_loss(self.predict(x, t), target)
            loss.backward()
            optimizer.step()
            return loss.item()

        return run


class TorchChannelsLast(Torch):
    """torch eager, channels-last."""

    def arrange(self, network, training):
        return network.to(memory_format=self.torch.channels_last)

    def tensor(self, array):
        tensor = self.torch.from_numpy(array)
        return tensor.to(memory_format=self.torch.channels_last) if tensor.ndim == 4 else tensor


class TorchCompile(TorchChannelsLast):
    """torch.compile on channels-last tensors; weights are frozen where nothing trains."""

    def arrange(self, network, training):
        import torch._inductor.config

        torch._inductor.config.freezing = not training
        return self.torch.compile(super().arrange(network, training))


class FromOnnx:
    """What is common to the contenders that read ONNX files and compute on numpy arrays."""

    kinds = ("forward", "sample")

    def tensor(self, array):
        return array

    def sampler(self, data):
        steps = list(zip(data["t"], data["step_x"], data["step_noise"], strict=True))

        def run():
            x = data["x"]
            for t, step_x, step_noise in steps:
                x = step_x * x + step_noise * self.predict(x, np.full(len(x), t))
            return x

        return run


class OnnxRuntime(FromOnnx):
    packages = ("onnxruntime",)

    def __init__(self, case, folder, threads):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            onnx_file(folder, case), options, providers=["CPUExecutionProvider"])

    def predict(self, x, t):
        return self.session.run(None, {"sample": x, "timestep": t})[0]


class OpenVino(FromOnnx):
    """Set to single precision: by default it computes in bf16 where the CPU can."""

    packages = ("openvino",)

    def __init__(self, case, folder, threads):
        import openvino

        settings = dict(INFERENCE_NUM_THREADS=threads, INFERENCE_PRECISION_HINT="f32",
                        PERFORMANCE_HINT="LATENCY")
        model = openvino.Core().compile_model(onnx_file(folder, case), "CPU", settings)
        self.request = model.create_infer_request()

    def predict(self, x, t):
        return self.request.infer({"sample": x, "timestep": t}, share_inputs=True)[0]


CONTENDERS = {
    "torch": Torch,
    "torch-channels-last": TorchChannelsLast,
    "torch-compile": TorchCompile,
    "onnxruntime": OnnxRuntime,
    "openvino": OpenVino,
}


def onnx_file(folder, case):
    return str(folder / f"{case.network}{case.batch}" / "model.onnx")


def process_age():
    """Seconds since this process started."""
    started = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")


def peak_mib():
    """The largest resident memory of this process so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def measure(run, seconds):
    """Milliseconds of each run, after a second of runs that do not count."""
    def repeat(seconds, at_least):
        times, end = [], time.perf_counter() + seconds
        while len(times) < at_least or time.perf_counter() < end:
            start = time.perf_counter()
            run()
            times.append((time.perf_counter() - start) * 1e3)
        return times

    repeat(min(1.0, seconds), 2)
    return sorted(repeat(seconds, 10))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=CONTENDERS)
    parser.add_argument("case", choices=cases.CASES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()

    case, data = cases.CASES[args.case], cases.reference(args.folder, args.case)
    if case.kind not in CONTENDERS[args.name].kinds:
        parser.error(f"{args.name} does not {case.kind}")
    contender = CONTENDERS[args.name](case, args.folder, args.threads)
    if case.kind == "train":
        run = contender.trainer(data)
    elif case.kind == "sample":
        run = contender.sampler(data)
    else:
        x, t = contender.tensor(data["x"]), contender.tensor(data["t"])

        def run():
            return contender.predict(x, t)

    first = run()
    first_s = process_age()
    if case.kind == "train":
        losses = [first] + [run() for _ in data["output_loss"][1:]]
        x, t = contender.tensor(data["x"]), contender.tensor(data["t"])
        outputs = dict(output=contender.predict(x, t).detach().numpy(), output_loss=losses)
    else:
        outputs = dict(output=first)
    outputs = {name: np.ascontiguousarray(np.asarray(value), np.float32)
               for name, value in outputs.items()}

    times = measure(run, args.seconds)
    peak = peak_mib()
    save_file(outputs, cases.output_file(args.folder, args.case, args.name))
    print(json.dumps(dict(
        contender=args.name,
        version=", ".join(f"{p} {importlib.metadata.version(p)}" for p in contender.packages),
        case=args.case,
        iterations=len(times),
        median_ms=statistics.median(times),
        min_ms=times[0],
        p90_ms=times[int(0.9 * (len(times) - 1))],
        peak_mib=peak,
        first_s=first_s,
        error=cases.error(args.folder, args.case, args.name),
    )))


if __name__ == "__main__":
    main()
