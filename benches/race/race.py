#!/usr/bin/env python3
"""The race: compares this library with its peers in one run. Usually started by `run`, which makes the environments.

Each implementation has one process. They warm up one after another. In every round each runs one block of steps, in a new
random order, so that disturbances of the machine affect all alike. A time is the median over the rounds of a
block's mean; a ratio is the median of the ratios within each round.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import random
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

import inference
from peers import NETS

HERE = pathlib.Path(__file__).resolve().parent
# Freed activations stay in the process, instead of being returned to the system and requested again in every step.
MALLOC = {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=4294967296"}

TRAIN = ["ours", "torch_svd", "torch_svd_tuned", "torch_svd_compile", "torch_svd_compile_tuned", "cplxmodule",
         "jax_svd", "jax_svd_tuned", "torch_dense", "jax_dense"]
KL = ["ours", "torch", "torch_tuned", "torch_compile", "torch_compile_tuned", "cplxmodule", "jax"]
DENSE = ["torch", "torch_1t", "torch_compile", "torch_compile_tuned", "torch_compile_tuned_1t", "onnx", "onnx_1t", "jax"]
PREDICT_CONV = ["ours", "ours_dense", *DENSE]
PREDICT_DENSE = [*PREDICT_CONV, "torch_csr", "torch_csr_1t", "scipy"]
LABELS = {
    "ours": "**this library**",
    "torch": "PyTorch", "torch_tuned": "PyTorch, tuned", "torch_compile": "torch.compile",
    "torch_compile_tuned": "torch.compile, tuned", "jax": "JAX jit", "cplxmodule": "cplxmodule",
    "torch_svd": "PyTorch", "torch_svd_tuned": "PyTorch, tuned", "torch_svd_compile": "torch.compile",
    "torch_svd_compile_tuned": "torch.compile, tuned", "jax_svd": "JAX jit", "jax_svd_tuned": "JAX jit, tuned",
    "torch_dense": "PyTorch, ordinary net", "jax_dense": "JAX jit, ordinary net",
    "ours_dense": "this library, not compacted", "torch_1t": "PyTorch, 1 thread",
    "torch_compile_tuned_1t": "torch.compile, tuned, 1 thread", "onnx": "ONNX Runtime", "onnx_1t": "ONNX Runtime, 1 thread",
    "torch_csr": "PyTorch CSR", "torch_csr_1t": "PyTorch CSR, 1 thread", "scipy": "SciPy CSR",
}
# Suite: title, work, unit, factor from seconds to it, implementations, rounds, seconds per block.
SUITES = {
    "mlp": ("Training step, LeNet-300-100, batch 100", "train/mlp", "ms", 1e3, TRAIN, 21, 0.4),
    "lenet5": ("Training step, LeNet-5, batch 100", "train/lenet5", "ms", 1e3, TRAIN, 11, 0.8),
    "vgg": ("Training step, VGG-like k = 0.25, batch 50", "train/vgg", "ms", 1e3, TRAIN, 9, 1.0),
    "kl": ("KL and its gradient, 784 x 300 weights", "kl/784x300", "us", 1e6, KL, 21, 0.25),
    "infer1": ("Prediction, LeNet-300-100, batch 1", "infer/mlp", "us", 1e6, PREDICT_DENSE, 21, 0.2),
    "infer100": ("Prediction, LeNet-300-100, batch 100", "infer/mlp", "us", 1e6, PREDICT_DENSE, 21, 0.2),
    "lenet5infer1": ("Prediction, LeNet-5, batch 1", "infer/lenet5", "us", 1e6, PREDICT_CONV, 21, 0.2),
    "lenet5infer": ("Prediction, LeNet-5, batch 100", "infer/lenet5", "us", 1e6, PREDICT_CONV, 21, 0.2),
}
BATCHES = {"infer1": 1, "infer100": 100, "lenet5infer1": 1, "lenet5infer": 100}
# The largest allowed difference of an output from that in double precision.
TOLERANCE = 1e-4
RSS = ("Peak memory, LeNet-300-100, 200 training steps", "train/mlp", TRAIN)


class Worker:
    """A process that makes steps on request. Its environment fixes the number of threads and hides any GPU."""

    def __init__(self, args, work, impl, folder=None):
        threads = "1" if impl.endswith("_1t") else str(args.threads)
        env = os.environ | dict.fromkeys(
            ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "RACE_THREADS"], threads)
        env |= {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "", "PYTHONWARNINGS": "ignore",
                "TORCHINDUCTOR_COMPILE_THREADS": "1", "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"}
        if impl.startswith(("torch", "cplx")) and "_tuned" in impl:
            env |= MALLOC
        python = args.jax if impl.startswith("jax") else args.torch
        command = shlex.split(args.ours) if impl.startswith("ours") else [python, str(HERE / "peers.py")]
        command += ["worker", f"{work}/{impl}"] + ([str(folder)] if folder else [])
        self.impl, self.times, self.loss, self.error = impl, [], None, None
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True,
                                        env=env)
        self.info = self.read()["ready"]

    def compare(self, expected):
        """Compares its outputs with the expected ones, and stores the largest difference."""
        outputs = self.info.pop("outputs")
        if len(outputs) != len(expected):
            raise RuntimeError(f"{len(outputs)} outputs, not {len(expected)}")
        self.error = max(abs(a - b) for a, b in zip(outputs, expected))
        if not self.error <= TOLERANCE:
            self.close()
            raise RuntimeError(f"its outputs are wrong by {self.error:.2g}")

    def read(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        self.errors.seek(0)
        raise RuntimeError((self.errors.read().strip().splitlines() or ["ended without an error message"])[-1])

    def ask(self, **question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return self.read()

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()


def starting(args, work, impls, folder=None, expected=()):
    """Starts workers; returns those that run, and the errors of the others."""
    workers, failed = [], {}
    for impl in impls:
        if args.only and impl not in args.only:
            continue
        print(f"  {work}/{impl}", file=sys.stderr, flush=True)
        try:
            worker = Worker(args, work, impl, folder)
            if folder:
                worker.compare(expected)
            workers.append(worker)
        except (OSError, RuntimeError, KeyError) as error:
            failed[impl] = str(error)
    return workers, failed


def busy_seconds():
    """CPU seconds of the whole machine since it started."""
    with open("/proc/stat") as stat:
        fields = [int(field) for field in stat.readline().split()[1:]]
    return (sum(fields[:3]) + sum(fields[5:8])) / os.sysconf("SC_CLK_TCK")


def others(workers):
    """CPU seconds of all programs other than the race."""
    return busy_seconds() - sum(os.times()[:2]) - sum(worker.cpu_seconds() for worker in workers)


def spread(values):
    low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
    return {"median": middle, "low": low, "high": high}


def race(args, suite, title, work, unit, scale, impls, rounds, block):
    rounds = args.rounds or (max(3, rounds // 4) if args.quick else rounds)
    block = block / 2 if args.quick else block
    folder, zeros, expected = None, None, ()
    if suite in BATCHES:
        folder, net = args.out / suite, work.split("/")[1]
        zeros, expected = inference.write(folder, net, *NETS[net][:2], BATCHES[suite])
    workers, failed = starting(args, work, impls, folder, expected)
    steps = {}
    for worker in workers:
        worker.ask(cmd="calib", sec=0.2)
        speed = worker.ask(cmd="calib", sec=block / 2)
        steps[worker.impl] = max(3, round(speed["n"] / speed["sec"] * block))
    start, before = time.time(), others(workers)
    for turn in range(rounds):
        for worker in random.Random(turn).sample(workers, len(workers)):
            ran = worker.ask(cmd="run", n=steps[worker.impl])
            worker.times.append(ran["mean"] * scale)
            worker.loss = ran["loss"]
            time.sleep(0.02)
    disturbed = (others(workers) - before) / (time.time() - start)
    ours = next((worker.times for worker in workers if worker.impl == "ours"), None)
    rows = []
    for worker in workers:
        row = {"impl": worker.impl, "time": spread(worker.times), "times": worker.times, "loss_first": worker.info["loss0"],
               "loss_last": worker.loss, "first_step_s": worker.info["first_step_s"], "versions": worker.info["versions"]}
        if worker.error is not None:
            row["error"] = worker.error
        if ours and worker.impl != "ours":
            row["ours_to_it"] = spread([a / b for a, b in zip(ours, worker.times)])
        rows.append(row)
        worker.close()
    return {"title": title, "work": work, "unit": unit, "rounds": rounds, "steps_per_block": steps, "zeros": zeros, "rows": rows,
            "failed": failed, "cores_used_by_others": disturbed}


def peak_memory(args, title, work, impls):
    rows, failed = [], {}
    for impl in impls:
        workers, why = starting(args, work, [impl])
        failed |= why
        for worker in workers:
            worker.ask(cmd="run", n=20 if args.quick else 200)
            rows.append({"impl": impl, "imported_mb": worker.info.get("hwm_import_mb"), **worker.ask(cmd="mem")})
            worker.close()
    return {"title": title, "work": work, "rows": rows, "failed": failed}


def machine():
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cpu": cpu, "cores": os.cpu_count(), "memory_gb": round(memory), "system": platform.platform()}


def commit():
    command = ["git", "-C", str(HERE), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or "unknown"


def table(header, rows):
    align = "|---|" + "---:|" * (len(header) - 1)
    return ["| " + " | ".join(header) + " |", align, *("| " + " | ".join(row) + " |" for row in rows), ""]


def figures(x):
    return f"{x:,.0f}" if x >= 100 else f"{x:.3g}"


def race_text(result):
    def row(r):
        t, ratio = r["time"], r.get("ours_to_it")
        ours = f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})" if ratio else ""
        quartiles = f"{figures(t['low'])} to {figures(t['high'])}"
        loss = f"{r['error']:.1g}" if predicts else f"{r['loss_first']:.4g}, {r['loss_last']:.4g}"
        return [LABELS[r["impl"]], figures(t["median"]), quartiles, ours, loss, f"{r['first_step_s']:.2g}"]
    predicts = result["zeros"] is not None
    zeros = f", {100 * result['zeros']:.2f} % of its weights zero" if predicts else ""
    lines = [f"## {result['title']}{zeros}", ""]
    rows = [row(r) for r in sorted(result["rows"], key=lambda r: r["time"]["median"])]
    checked = "largest error" if predicts else "loss, first and last"
    lines += table(["", result["unit"], "quartiles", "ours / it", checked, "first step, s"], rows)
    peers = [r for r in result["rows"] if "ours_to_it" in r and "dense" not in r["impl"]]
    if peers:
        best = max(peers, key=lambda r: r["ours_to_it"]["median"])
        ratio = best["ours_to_it"]["median"]
        lines += [f"Fastest peer: {LABELS[best['impl']]}; this library takes {ratio:.2f} of its time.", ""]
    disturbed = result["cores_used_by_others"]
    verdict = ": too many for a fair comparison" if disturbed > 0.1 else ""
    return [*lines, f"{result['rounds']} rounds; meanwhile other programs kept {disturbed:.2f} cores busy{verdict}.", ""]


def memory_text(result):
    def row(r):
        imported = "" if r["imported_mb"] is None else figures(r["imported_mb"])
        return [LABELS[r["impl"]], figures(r["hwm_mb"]), imported, figures(r["anon_mb"])]
    rows = [row(r) for r in sorted(result["rows"], key=lambda r: r["hwm_mb"])]
    return [f"## {result['title']}", "", *table(["MB", "peak", "after importing the libraries", "own pages at the end"], rows)]


def report(results):
    m = results["machine"]
    versions = {}
    for result in results["suites"].values():
        for row in result["rows"]:
            versions |= row.get("versions", {})
    lines = ["# The race", "",
             f"{m['cpu']}, {m['cores']} cores, {m['memory_gb']} GB, {m['system']}; {results['threads']} threads; "
             f"{results['started']}; commit {results['commit']}; "
             + ", ".join(f"{name} {version}" for name, version in sorted(versions.items())) + ".", "",
             "Times are medians over interleaved rounds, ratios medians of the ratios within a round: below 1, this library is "
             "faster. Ordinary nets have no noise and no KL: they show what a Bayesian layer costs.", ""]
    for result in results["suites"].values():
        lines += race_text(result) if "unit" in result else memory_text(result)
        lines += [f"- {LABELS[impl]} did not run: {why}" for impl, why in result["failed"].items()]
        lines += [""] if result["failed"] else []
    return "\n".join(lines)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"{' '.join([*SUITES, 'rss'])} (default: all)")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and shorter blocks")
    parser.add_argument("--rounds", type=int, help="number of rounds of every suite")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", type=lambda text: text.split(","), help="implementations to start, such as ours,jax_svd")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("target/race"), help="folder for results.json and .md")
    parser.add_argument("--torch", default=sys.executable, help="a Python with PyTorch and the packages that `run` installs")
    parser.add_argument("--jax", default=sys.executable, help="a Python with JAX")
    parser.add_argument("--ours", default="target/release/race_worker", help="our worker's command")
    args = parser.parse_args()
    unknown = set(args.suites) - {*SUITES, "rss"}
    if unknown:
        parser.error(f"unknown suites {sorted(unknown)}; the known ones are {[*SUITES, 'rss']}")
    return args


def main():
    args = arguments()
    started = datetime.datetime.now().isoformat(" ", "minutes")
    results = {"machine": machine(), "started": started, "commit": commit(), "threads": args.threads, "suites": {}}
    args.out.mkdir(parents=True, exist_ok=True)
    for suite in args.suites or [*SUITES, "rss"]:
        print(suite, file=sys.stderr, flush=True)
        results["suites"][suite] = peak_memory(args, *RSS) if suite == "rss" else race(args, suite, *SUITES[suite])
        (args.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
        (args.out / "results.md").write_text(report(results) + "\n")
    print(report(results))


if __name__ == "__main__":
    main()
