"""What the machine is, and how busy it is."""
import os
import platform
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def busy_seconds():
    """Processor seconds spent on anything since the start, over all cores, stolen time included."""
    user, nice, system, _, _, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICK


def wait_until_idle(share=0.05, seconds=3.0):
    """Returns when all cores together were busy for less than `share` of some seconds."""
    announced = False
    while True:
        before, start = busy_seconds(), time.perf_counter()
        time.sleep(seconds)
        elapsed = time.perf_counter() - start
        busy = (busy_seconds() - before) / (elapsed * os.cpu_count())
        if busy < share:
            return
        if not announced:
            print(f"waiting for an idle machine: it is {busy:.0%} busy", flush=True)
            announced = True


def description():
    """Processor, cores, vector instructions, memory, system."""
    cpu = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines()
               if ":" in line)
    cpu = {key.strip(): value.strip() for key, value in cpu.items()}
    flags = [f for f in cpu.get("flags", "").split()
             if f in ("avx2", "fma") or f.startswith(("avx512", "amx"))]
    kib = int(Path("/proc/meminfo").read_text().split()[1])
    return dict(
        cpu=f"{cpu.get('model name', platform.machine())} "
            f"(family {cpu.get('cpu family')}, model {cpu.get('model')})",
        cores=os.cpu_count(),
        flags=" ".join(flags),
        memory=f"{kib / 2**20:.0f} GiB",
        system=platform.platform(),
        python=platform.python_version(),
    )
