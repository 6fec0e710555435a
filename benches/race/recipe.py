#!/usr/bin/env python3
"""Time to a result: a whole recipe with whole weights masked, here and in PyTorch. Usually started by `run recipe`.

Our side runs the experiment and adds up the seconds of its training epochs, without evaluation. PyTorch's time for a step
does not depend on how many weights are masked, so its side is extrapolated: the steps of the recipe times the median of
blocks of steps before and after our run. The same threads, one after the other.
"""
import argparse
import json
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import tempfile
from types import SimpleNamespace

from race import LABELS, Worker

# For each recipe: the experiment, its arguments, and the phases by the labels of their records: the work of the
# peer, its implementations, the steps of an epoch.
DENSE = ["torch_dense", "torch_dense_compile_tuned"]
SPARSE = ["torch_svd_masked_tuned", "torch_svd_masked_compile_tuned"]
RECIPES = {
    "lenet5": ("lenet5", ["--masking", "weights", "--seeds", "1"], 100, {"Sparse VD": ("train/lenet5", SPARSE, 600)}),
    "vgg": ("vgg", ["--masking", "weights"], 100, {
        "Dense": ("train/vgg", DENSE, 500), "Sparse VD": ("train/vgg", SPARSE, 500),
        "Sparse VD, augmented images": ("train/vgg", SPARSE, 500)}),
}


def step_seconds(args, work, impls):
    """The seconds of a step by each implementation."""
    found = {}
    for impl in impls:
        print(f"  {work}/{impl}", file=sys.stderr, flush=True)
        worker = Worker(args, work, impl)
        blocks = []
        for _ in range(args.blocks):
            answer = worker.ask(cmd="calib", sec=args.seconds)
            blocks.append(answer["sec"] / answer["n"])
        worker.close()
        found[impl] = statistics.median(blocks)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("--torch", required=True, metavar="PYTHON", help="the Python of the environment with PyTorch")
    parser.add_argument("--examples", required=True, type=pathlib.Path, metavar="DIR", help="the folder of the built examples")
    parser.add_argument("--data", default="data", help="the folder given to scripts/get-data.sh")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds of a block of PyTorch's steps")
    parser.add_argument("--blocks", type=int, default=3, help="blocks before our run, and as many after it")
    parser.epilog = "arguments after -- go to the experiment"
    here, _, more = " ".join(map(shlex.quote, sys.argv[1:])).partition(" -- ")
    options = parser.parse_args(shlex.split(here))
    example, arguments, batch, phases = RECIPES[options.recipe]
    os.environ["RACE_BATCH"] = str(batch)
    args = SimpleNamespace(**vars(options), jax=options.torch, ours="")
    works = {(work, tuple(impls)) for work, impls, _ in phases.values()}
    before = {work: step_seconds(args, *work) for work in works}
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder, "run")
        subprocess.run([options.examples / example, "--data", options.data, "--threads", str(options.threads), "--out", out,
                        *arguments, *shlex.split(more)], check=True, stdout=sys.stderr)
        results = json.loads((out / "results.json").read_text())
    after = {work: step_seconds(args, *work) for work in works}
    print(f"| {options.recipe}, {options.threads} threads | this library, s | first and last epoch, s | PyTorch | s | ratio |")
    print("|---|---|---|---|---|---|")
    ours, theirs = 0.0, 0.0
    for record in results["records"]:
        if record["label"] not in phases:
            continue
        work, impls, steps = phases[record["label"]]
        values, epochs = record["values"], [seconds for _, seconds in record["curves"]["seconds"]]
        each = {impl: statistics.median([before[work, tuple(impls)][impl], after[work, tuple(impls)][impl]]) for impl in impls}
        impl = min(each, key=each.get)
        peer = each[impl] * steps * len(epochs)
        ours, theirs = ours + values["seconds"], theirs + peer
        name = LABELS.get(impl.replace("_masked", ""), impl)
        print(f"| {record['label']}, {len(epochs)} epochs | {values['seconds']:.0f} | {epochs[0]:.1f}, {epochs[-1]:.1f} | {name} "
              f"| {peer:.0f} | {values['seconds'] / peer:.2f} |")
        print(f"  error {100 * values['error']:.2f} %, compression {values['weights'] / max(values['kept'], 1):.1f}", file=sys.stderr)
    print(f"| together | {ours:.0f} | | | {theirs:.0f} | {ours / theirs:.2f} |")


if __name__ == "__main__":
    main()
