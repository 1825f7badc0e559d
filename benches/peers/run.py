"""Runs ours and the peers in turn, each in a process of its own, and prints a table for each case.

usage: python benches/peers/run.py FOLDER [options]        (FOLDER: from networks.py)

Waits before each process until the machine is idle. The results are also written, raw, to
FOLDER/results.json. Fails if a contender failed or gave other numbers than the reference.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import cases
import contender
import machine

HERE = Path(__file__).resolve().parent
WORKSPACE = HERE.parent.parent
OURS = "ours"
# With the whole workspace: alone, its dependencies have other features, and are built again.
BUILD = ["cargo", "build", "--release", "--workspace", "--example", "peer"]


def choices(known):
    """A comma-separated list of known names."""
    def parse(text):
        names = text.split(",")
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(
                f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
        return names
    return parse


def arguments():
    contenders = [OURS, *contender.CONTENDERS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cases", type=choices(cases.CASES), default=list(cases.CASES))
    parser.add_argument("--contenders", type=choices(contenders), default=contenders)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of timed runs in each process")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds for one process")
    parser.add_argument("--no-wait", action="store_true", help="measure on a busy machine too")
    parser.add_argument("--no-build", action="store_true", help="take the built binary of ours")
    return parser.parse_args()


def take_ours(args):
    """Builds ours, and copies it into the folder. Gives what stands against measuring it, or None.

    Folders of cargo can be shared by several checkouts, and hold the binary of the last one that was
    built. So its sources are looked at, and what is measured is a copy.
    """
    copy = args.folder / "peer"
    copy.unlink(missing_ok=True)
    if not args.no_build and subprocess.run(BUILD, cwd=WORKSPACE).returncode != 0:
        return f"`{' '.join(BUILD)}` failed"
    target = WORKSPACE / os.environ.get("CARGO_TARGET_DIR", "target")
    built = target / "release" / "examples" / "peer"
    if not built.exists():
        return "not built"
    if str(HERE / "ours" / "main.rs") not in built.with_suffix(".d").read_text():
        return "the built binary is of another checkout"
    shutil.copy2(built, copy)
    return None


def commit():
    """The commit of the checkout."""
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=WORKSPACE,
                          capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def applies(name, case):
    return name == OURS or cases.CASES[case].kind in contender.CONTENDERS[name].kinds


def run_once(name, case, args):
    """One process. Gives its line of JSON with `foreign`, or a dict with `failed`."""
    if name == OURS:
        if args.without_ours:
            return dict(failed=args.without_ours)
        command = [(args.folder / "peer").resolve(), case, args.folder]
    else:
        command = [sys.executable, HERE / "contender.py", name, case, args.folder,
                   "--threads", str(args.threads)]
    variables = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
    environment = os.environ | dict.fromkeys(variables, str(args.threads)) | {
        "HF_HUB_OFFLINE": "1",
        "TORCHINDUCTOR_CACHE_DIR": str(args.folder.resolve() / "inductor"),
    }
    cases.output_file(args.folder, case, name).unlink(missing_ok=True)

    busy, own, start = machine.busy_seconds(), sum(os.times()[:4]), time.perf_counter()
    try:
        done = subprocess.run([*command, "--seconds", str(args.seconds)], env=environment,
                              capture_output=True, text=True, timeout=args.timeout)
        elapsed = time.perf_counter() - start
        others = machine.busy_seconds() - busy - (sum(os.times()[:4]) - own)
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or ["no message"]
            return dict(failed=f"exit status {done.returncode}: {lines[-1]}", stderr=done.stderr)
        result = json.loads(done.stdout.strip().splitlines()[-1])
        error = cases.error(args.folder, case, name)
    except subprocess.TimeoutExpired:
        return dict(failed=f"not done after {args.timeout:.0f} s")
    except (OSError, ValueError, IndexError) as problem:
        return dict(failed=f"{type(problem).__name__}: {problem}")
    foreign = max(0.0, others / (elapsed * os.cpu_count()))
    return result | dict(error=error, foreign=foreign)


def summary(case, runs):
    """The numbers of one row, from the rounds of one contender."""
    def over(key):
        return [run[key] for run in runs]
    median = statistics.median(over("median_ms"))
    return dict(
        ms=median,
        lowest=min(over("median_ms")),
        highest=max(over("median_ms")),
        images=cases.CASES[case].batch / median * 1e3,
        peak=max(over("peak_mib")),
        first=statistics.median(over("first_s")),
        error=max(over("error")),
        foreign=max(over("foreign")),
    )


def table(case, results):
    """Markdown: a row for each contender."""
    good = {name: summary(case, runs) for name, runs in results.items()
            if runs and not any("failed" in run for run in runs)}
    first = "step" if cases.CASES[case].kind == "train" else "images"
    rows = [
        f"### {case}: {cases.TITLES[case]}", "",
        f"| contender | ms | over the rounds | images/s | peak MiB | start to first {first}, s "
        "| error | ours / theirs |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, runs in results.items():
        if name not in good:
            reason = next((run["failed"] for run in runs if "failed" in run), "does not apply")
            rows.append(f"| {name} | {reason.replace('|', '/')} | | | | | | |")
            continue
        row = good[name]
        ratio = f"{good[OURS]['ms'] / row['ms']:.2f}" if OURS in good else ""
        wrong = " (wrong)" if row["error"] > cases.CASES[case].tolerance else ""
        rows.append(
            f"| {name} | {row['ms']:.1f} | {row['lowest']:.1f} to {row['highest']:.1f} "
            f"| {row['images']:.1f} | {row['peak']:.0f} | {row['first']:.2f} "
            f"| {row['error']:.1e}{wrong} | {ratio} |")
    disturbed = max((row["foreign"] for row in good.values()), default=0.0)
    if disturbed > 0.05:
        rows += ["", f"Other programs took up to {disturbed:.0%} of the machine during these runs."]
    return "\n".join([*rows, ""])


def is_right(case, run):
    return "failed" not in run and run["error"] <= cases.CASES[case].tolerance


def main():
    args = arguments()
    args.without_ours = take_ours(args) if OURS in args.contenders else None
    if args.without_ours:
        print(f"ours is missing: {args.without_ours}", file=sys.stderr)

    about = machine.description() | dict(commit=commit(), threads=args.threads,
                                         rounds=args.rounds, seconds=args.seconds)
    print("\n".join(f"* {key}: {value}" for key, value in about.items()), "\n", flush=True)
    everything = {}
    for case in args.cases:
        results = everything[case] = {name: [] for name in args.contenders}
        for _ in range(args.rounds):
            for name in args.contenders:
                if not applies(name, case):
                    continue
                if not args.no_wait:
                    machine.wait_until_idle()
                results[name].append(run_once(name, case, args))
        print(table(case, results), flush=True)
        raw = dict(machine=about, results=everything)
        (args.folder / "results.json").write_text(json.dumps(raw, indent=1))
    versions = {name: run["version"] for results in everything.values()
                for name, runs in results.items() for run in runs if "version" in run}
    print("\n".join(f"* {name}: {version}" for name, version in versions.items()))
    runs = [(case, run) for case, results in everything.items()
            for runs in results.values() for run in runs]
    sys.exit(0 if all(is_right(case, run) for case, run in runs) else 1)


if __name__ == "__main__":
    main()
