"""The peers, optimised as well as we can. One process runs one of them:

    python peers.py worker SUITE/NET/IMPLEMENTATION [FOLDER]

A worker warms up, reports that it is ready, and then makes steps on request; README.md has the protocol. A step draws its
own noise, takes the next of 16 input batches, and covers forward, KL of every weight, backward and the Adam update.
Predictions are in inference.py, with the weights and inputs of FOLDER.

SparseVD here, in PyTorch and JAX alike: θ and log σ² per weight, log σ² = -10 initially; deterministic biases;
local reparameterisation; log α = log σ² - log(θ² + 1e-8) within ±10; the KL of Molchanov et al. (2017), eq. 14,
summed and divided by the number of examples.
"""
import importlib.metadata
import json
import os
import sys
import time

THREADS = int(os.environ.get("RACE_THREADS", "2"))
POOL = 16
LEARNING_RATE = 1e-3
K1, K2, K3 = 0.63576, 1.87320, 1.48695


def vgg(k):
    """The VGG-like network of the paper without binary dropout, k times as wide."""
    net, inputs = [], 3
    for width in (64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512, "pool", 512, 512, 512, "pool"):
        if width == "pool":
            net.append("pool")
        else:
            width = int(width * k)
            net += [("conv", inputs, width, 3, 1), ("norm2", width), "relu"]
            inputs = width
    return net + ["flatten", ("dense", inputs, inputs), ("norm1", inputs), "relu", ("dense", inputs, 10)]


# Layers; the shape of an input; the batch size; the number of examples.
NETS = {
    "mlp": ([("dense", 784, 300), "relu", ("dense", 300, 100), "relu", ("dense", 100, 10)], (784,), 100, 60_000),
    "lenet5": ([("conv", 1, 20, 5, 0), "relu", "pool", ("conv", 20, 50, 5, 0), "relu", "pool", "flatten",
                ("dense", 800, 500), "relu", ("dense", 500, 10)], (1, 28, 28), 100, 60_000),
    "vgg": (vgg(0.25), (3, 32, 32), 50, 50_000),
}


def weighted(net):
    """The layers, each with True if it has a bias; a layer before a batch normalisation needs none."""
    layers = NETS[net][0]
    for layer, after in zip(layers, layers[1:] + [""]):
        yield layer, not (isinstance(after, tuple) and after[0].startswith("norm"))


# ---------------------------------------------------------------------------------------------------------------- PyTorch
def torch_kl(theta, log_sigma2, plain_softplus):
    import torch
    import torch.nn.functional as F
    log_alpha = torch.clamp(log_sigma2 - torch.log(theta * theta + 1e-8), -10, 10)
    # log(1 + exp) is safe within ±10, and sometimes much faster than softplus.
    softplus = torch.log(1 + torch.exp(-log_alpha)) if plain_softplus else F.softplus(-log_alpha)
    return (K1 - K1 * torch.sigmoid(K2 + K3 * log_alpha) + 0.5 * softplus).sum()


def torch_train(net, impl):
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    at_start = memory("VmHWM")
    tuned = impl.endswith("_tuned")

    class SparseVd(nn.Module):
        def __init__(self, outputs, shape, std, bias, apply):
            super().__init__()
            self.theta = nn.Parameter(torch.randn(*shape) * std)
            self.log_sigma2 = nn.Parameter(torch.full(shape, -10.0))
            self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
            self.apply_weights = apply

        def forward(self, x):
            theta, variances = self.theta, self.log_sigma2.exp()
            if "masked" in impl:
                kept = (self.log_sigma2 < 3 + torch.log(theta * theta + 1e-8)).to(theta.dtype)
                theta, variances = theta * kept, variances * kept
            mean = self.apply_weights(x, theta, self.bias)
            variance = self.apply_weights(x * x, variances, None)
            return mean + torch.randn_like(mean) * torch.sqrt(variance + 1e-8)

    def dense(i, o, bias):
        if "dense" in impl:
            return nn.Linear(i, o, bias)
        if impl == "cplxmodule":
            from cplxmodule.nn.relevance import LinearVD
            return LinearVD(i, o, bias=bias)
        return SparseVd(o, (o, i), 0.02, bias, F.linear)

    def conv(i, o, k, pad, bias):
        if "dense" in impl:
            return nn.Conv2d(i, o, k, padding=pad, bias=bias)
        if impl == "cplxmodule":
            from cplxmodule.nn.relevance import Conv2dVD
            return Conv2dVD(i, o, k, padding=pad, bias=bias)
        return SparseVd(o, (o, i, k, k), 0.05, bias, lambda x, w, b: F.conv2d(x, w, b, padding=pad))

    def module(layer, bias):
        match layer:
            case ("dense", i, o): return dense(i, o, bias)
            case ("conv", i, o, k, pad): return conv(i, o, k, pad, bias)
            case ("norm1", n): return nn.BatchNorm1d(n, eps=1e-3)
            case ("norm2", n): return nn.BatchNorm2d(n, eps=1e-3)
            case "relu": return nn.ReLU()
            case "pool": return nn.MaxPool2d(2)
            case "flatten": return nn.Flatten()

    _, shape, batch, n = NETS[net]
    batch = int(os.environ.get("RACE_BATCH", batch))
    model = nn.Sequential(*(module(layer, bias) for layer, bias in weighted(net))).train()
    layers = [layer for layer in model if isinstance(layer, SparseVd)]

    def kl():
        if impl == "cplxmodule":
            from cplxmodule.nn.relevance import penalties
            return sum(penalties(model, reduction="sum"))
        return sum(torch_kl(layer.theta, layer.log_sigma2, tuned) for layer in layers)

    def loss(x, y):
        return F.cross_entropy(model(x), y) + kl() / n

    xs = [torch.randn(batch, *shape) for _ in range(POOL)]
    ys = [torch.randint(0, 10, (batch,)) for _ in range(POOL)]
    adam = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)
    objective = torch_compiled(loss, impl)
    turn = 0

    def step():
        nonlocal turn
        adam.zero_grad()
        value = objective(xs[turn % POOL], ys[turn % POOL])
        value.backward()
        adam.step()
        turn += 1
        return value

    return step, lambda value: float(value.detach()), {"hwm_import_mb": at_start, "versions": versions("torch", "cplxmodule")}


def torch_compiled(f, impl):
    """Compiled if the implementation's name contains `compile`; with `_tuned`, at the best settings we found on a CPU."""
    import torch
    if "compile" not in impl:
        return f
    if impl.endswith("_tuned"):
        import torch._inductor.config as inductor
        inductor.fallback_random = True        # PyTorch's own generator: several times faster than Inductor's Philox
        inductor.layout_optimization = False   # does not rewrite convolutions to channels-last
    return torch.compile(f)


def torch_kl_only(impl):
    import numpy
    import torch
    torch.set_num_threads(THREADS)
    theta, log_sigma2 = map(torch.from_numpy, kl_weights(numpy))
    if impl == "cplxmodule":
        from cplxmodule.nn.relevance import LinearVD, penalties
        layer = LinearVD(784, 300)
        layer.weight.data.copy_(theta)
        layer.log_sigma2.data.copy_(log_sigma2)
        parameters = [layer.weight, layer.log_sigma2]
        kl = lambda: sum(penalties(layer, reduction="sum"))
    else:
        parameters = [theta.requires_grad_(), log_sigma2.requires_grad_()]
        kl = torch_compiled(lambda: torch_kl(theta, log_sigma2, impl.endswith("_tuned")), impl)

    def step():
        for parameter in parameters:
            parameter.grad = None
        value = kl()
        value.backward()
        return value

    return step, lambda value: float(value.detach()), {"versions": versions("torch", "cplxmodule")}


# -------------------------------------------------------------------------------------------------------------------- JAX
def jax_kl(theta, log_sigma2):
    import jax
    import jax.numpy as jnp
    log_alpha = jnp.clip(log_sigma2 - jnp.log(theta * theta + 1e-8), -10, 10)
    return (K1 - K1 * jax.nn.sigmoid(K2 + K3 * log_alpha) + 0.5 * jnp.log1p(jnp.exp(-log_alpha))).sum()


def jax_train(net, impl):
    """The whole step is one compiled function that reuses its buffers; images are height × width × channels."""
    import jax
    import jax.numpy as jnp
    import numpy
    at_start = memory("VmHWM")
    if impl.endswith("_tuned"):
        jax.config.update("jax_default_prng_impl", "rbg")
    sparse = "svd" in impl
    rng = numpy.random.default_rng(0)
    _, shape, batch, n = NETS[net]
    image = len(shape) == 3

    def start(layer, bias):
        def weights(shape, std, outputs):
            made = {"theta": jnp.asarray(rng.standard_normal(shape).astype("f") * std)}
            if sparse:
                made["log_sigma2"] = jnp.full(shape, -10.0)
            if bias:
                made["bias"] = jnp.zeros(outputs)
            return made
        match layer:
            case ("dense", i, o): return weights((i, o), 0.02, o)
            case ("conv", i, o, k, _): return weights((k, k, i, o), 0.05, o)
            case ("norm1" | "norm2", n): return {"scale": jnp.ones(n), "shift": jnp.zeros(n)}
        return {}

    def sampled(parameters, x, key, apply):
        mean = apply(x, parameters["theta"]) + parameters.get("bias", 0.0)
        if not sparse:
            return mean
        variance = apply(x * x, jnp.exp(parameters["log_sigma2"]))
        return mean + jnp.sqrt(variance + 1e-8) * jax.random.normal(key, mean.shape)

    def convolution(pad):
        return lambda x, w: jax.lax.conv_general_dilated(
            x, w, (1, 1), [(pad, pad)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def forward(layer, parameters, running, x, key):
        match layer:
            case ("dense", *_): return sampled(parameters, x, key, jnp.dot), running
            case ("conv", _, _, _, pad): return sampled(parameters, x, key, convolution(pad)), running
            case ("norm1" | "norm2", _):
                axes = tuple(range(x.ndim - 1))
                mean = x.mean(axes)
                variance = jnp.square(x - mean).mean(axes)
                y = (x - mean) * jax.lax.rsqrt(variance + 1e-3) * parameters["scale"] + parameters["shift"]
                mix = lambda old, new: 0.9 * old + 0.1 * new
                return y, {"mean": mix(running["mean"], mean), "variance": mix(running["variance"], variance)}
            case "relu": return jax.nn.relu(x), running
            case "pool":  # the maximum of a reshape has a faster gradient on a CPU than reduce_window
                b, h, w, c = x.shape
                return x.reshape(b, h // 2, 2, w // 2, 2, c).max((2, 4)), running
            case "flatten": return x.reshape(x.shape[0], -1), running

    layers = [layer for layer, _ in weighted(net)]
    parameters = [start(layer, bias) for layer, bias in weighted(net)]
    running = [{"mean": jnp.zeros(layer[1]), "variance": jnp.ones(layer[1])} if layer[0] in ("norm1", "norm2") else {}
               for layer in layers]

    def loss(parameters, running, x, y, key):
        keys, after = jax.random.split(key, len(layers)), []
        for layer, own, state, key in zip(layers, parameters, running, keys):
            x, state = forward(layer, own, state, x, key)
            after.append(state)
        nll = -jnp.take_along_axis(jax.nn.log_softmax(x), y[:, None], 1).mean()
        kl = sum(jax_kl(own["theta"], own["log_sigma2"]) for own in parameters if "log_sigma2" in own)
        return nll + kl / n, after

    def whole_step(parameters, running, first, second, t, x, y, key):
        (value, running), gradient = jax.value_and_grad(loss, has_aux=True)(parameters, running, x, y, jax.random.fold_in(key, t))
        t, each = t + 1, jax.tree.map
        first = each(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
        second = each(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradient)
        unbias1, unbias2 = 1 / (1 - 0.9 ** t), 1 / (1 - 0.999 ** t)
        move = lambda p, m, v: p - LEARNING_RATE * (m * unbias1) / (jnp.sqrt(v * unbias2) + 1e-8)
        return each(move, parameters, first, second), running, first, second, t, value

    compiled = jax.jit(whole_step, donate_argnums=(0, 1, 2, 3, 4))
    zeros = lambda: jax.tree.map(jnp.zeros_like, parameters)
    state = (parameters, running, zeros(), zeros(), jnp.zeros((), jnp.int32))
    shape = (*shape[1:], shape[0]) if image else shape
    xs = [jnp.asarray(rng.standard_normal((batch, *shape)).astype("f")) for _ in range(POOL)]
    ys = [jnp.asarray(rng.integers(0, 10, batch)) for _ in range(POOL)]
    key, turn = jax.random.key(0), 0

    def step():
        nonlocal state, turn
        *state, value = compiled(*state, xs[turn % POOL], ys[turn % POOL], key)
        turn += 1
        return value

    return step, float, {"hwm_import_mb": at_start, "versions": versions("jax", "jaxlib")}


def jax_kl_only(_):
    import jax
    import jax.numpy as jnp
    import numpy
    theta, log_sigma2 = map(jnp.asarray, kl_weights(numpy))
    gradient = jax.jit(jax.value_and_grad(jax_kl, (0, 1)))

    def step():
        value, (_, last) = gradient(theta, log_sigma2)
        last.block_until_ready()
        return value

    return step, float, {"versions": versions("jax", "jaxlib")}


# ----------------------------------------------------------------------------------------------------------------- worker
def kl_weights(numpy):
    """784 × 300 weights like those early in a training run."""
    rng = numpy.random.default_rng(0)
    return (rng.standard_normal((300, 784)) * 0.02).astype("f"), rng.uniform(-12, -4, (300, 784)).astype("f")


def versions(*packages):
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


def memory(field):
    """A line of /proc/self/status, in MB."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
    return float("nan")


def build(spec, *folder):
    suite, net, impl = spec.split("/")
    match suite, impl.split("_")[0]:
        case "infer", _:
            import inference
            used = versions("torch", "onnxruntime", "scipy", "jax")
            return inference.build(*folder, net, impl, NETS[net][0], used)
        case "train", "jax": return jax_train(net, impl)
        case "train", _: return torch_train(net, impl)
        case "kl", "jax": return jax_kl_only(impl)
        case "kl", _: return torch_kl_only(impl)
    raise SystemExit(f"unknown work {spec!r}")


def answer(ask, step, number):
    clock = time.perf_counter
    match ask:
        case {"cmd": "run", "n": n}:
            number(step())
            times, start = [0.0] * n, clock()
            for i in range(n):
                one = clock()
                value = step()
                times[i] = clock() - one
            loss = number(value)
            mean = (clock() - start) / n
            return {"mean": mean, "med": sorted(times)[n // 2], "loss": loss}
        case {"cmd": "calib", "sec": seconds}:
            start, n = clock(), 0
            while n < 2 or clock() - start < seconds:
                value = step()
                n += 1
            number(value)
            return {"n": n, "sec": clock() - start}
        case {"cmd": "mem"}:
            fields = {"hwm_mb": "VmHWM", "rss_mb": "VmRSS", "anon_mb": "RssAnon", "file_mb": "RssFile"}
            return {name: memory(field) for name, field in fields.items()}


def main():
    start = time.perf_counter()
    step, number, info = build(*sys.argv[2:])
    built = time.perf_counter()
    number(step())
    first = time.perf_counter()
    for _ in range(3):
        value = step()
    info |= {"setup_s": built - start, "first_step_s": first - built, "loss0": number(value)}
    print(json.dumps({"ready": info}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), step, number)), flush=True)


if __name__ == "__main__":
    main()
