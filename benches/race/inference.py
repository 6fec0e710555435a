"""Predictions of sparse networks: the weights and inputs for all sides, the expected outputs, and the peers.

Weights and inputs are two safetensors files in a folder; the names of the weights are those of this library's networks. Which
weights are zero is random, so a row or column of a matrix is empty only by chance.
"""
import os

THREADS = int(os.environ.get("RACE_THREADS", "2"))
POOL = 16
# The name of each layer with weights, and the share of its weights that is nonzero.
KEPT = {
    "mlp": {"0": 0.011, "2": 0.028, "4": 0.38},
    "lenet5": {"0.0": 0.33, "1.0": 0.02, "3": 0.002, "5": 0.05},
}


def write(folder, net, layers, shape, batch):
    """Writes the two files; returns the share of zeros, and the expected outputs for the first batch of inputs."""
    import numpy
    from safetensors.numpy import save_file
    rng = numpy.random.default_rng(0)
    weights, biases = [], []
    for (kind, inputs, outputs, *window), kept in zip(weighted(layers), KEPT[net].values()):
        size = (outputs, inputs, window[0], window[0]) if kind == "conv" else (outputs, inputs)
        fan_in = max(1.0, kept * numpy.prod(size[1:]))
        weight = rng.standard_normal(size) * (rng.random(size) < kept) * (2 / fan_in) ** 0.5
        weights.append(weight.astype("f"))
        biases.append((0.1 * rng.standard_normal(outputs)).astype("f"))
    xs = rng.standard_normal((POOL, batch, *shape)).astype("f")
    named = dict(zip(KEPT[net], zip(weights, biases)))
    folder.mkdir(parents=True, exist_ok=True)
    save_file({f"{name}.{role}": tensor for name, pair in named.items() for role, tensor in zip(("weight", "bias"), pair)},
              folder / "weights.safetensors")
    save_file({"inputs": xs}, folder / "inputs.safetensors")
    zeros = 1 - sum((weight != 0).sum() for weight in weights) / sum(weight.size for weight in weights)
    return float(zeros), reference(numpy, layers, weights, biases, xs[0])


def reference(numpy, layers, weights, biases, x):
    """The outputs in double precision."""
    x, pairs = x.astype("d"), zip(weights, biases)
    for layer in layers:
        match layer:
            case ("dense", *_):
                weight, bias = next(pairs)
                x = x @ weight.T.astype("d") + bias
            case ("conv", _, _, k, 0):
                weight, bias = next(pairs)
                windows = numpy.lib.stride_tricks.sliding_window_view(x, (k, k), (2, 3))
                x = numpy.einsum("bchwij,ocij->bohw", windows, weight.astype("d")) + bias[:, None, None]
            case "relu":
                x = numpy.maximum(x, 0)
            case "pool":
                b, c, h, w = x.shape
                x = x.reshape(b, c, h // 2, 2, w // 2, 2).max((3, 5))
            case "flatten":
                x = x.reshape(len(x), -1)
    return x.reshape(-1)


def weighted(layers):
    return [layer for layer in layers if isinstance(layer, tuple)]


def read(folder, net):
    """Weights, biases and inputs."""
    from safetensors.numpy import load_file
    tensors = load_file(os.path.join(folder, "weights.safetensors"))
    xs = list(load_file(os.path.join(folder, "inputs.safetensors"))["inputs"])
    return [tensors[f"{name}.weight"] for name in KEPT[net]], [tensors[f"{name}.bias"] for name in KEPT[net]], xs


def build(folder, net, impl, layers, versions):
    """A step of this implementation, a function for its first output, and the facts for the `ready` message."""
    weights, biases, xs = read(folder, net)
    name = impl.removesuffix("_1t")
    makers = {"torch": torch_dense, "torch_compile": torch_compiled, "torch_compile_tuned": torch_compiled,
              "torch_csr": torch_csr, "onnx": onnx, "scipy": scipy, "jax": jax}
    forward, xs, array = makers[name](layers, weights, biases, xs, tuned=name.endswith("_tuned"))
    outputs = [float(y) for y in array(forward(xs[0])).reshape(-1)]
    turn = 0

    def step():
        nonlocal turn
        turn += 1
        return forward(xs[turn % POOL])

    return step, lambda y: float(array(y).reshape(-1)[0]), {"outputs": outputs, "versions": versions}


def torch_ready():
    """PyTorch in inference mode, which records nothing for gradients."""
    import torch
    torch.set_num_threads(THREADS)
    torch_ready.mode = torch.inference_mode()
    torch_ready.mode.__enter__()
    return torch


def torch_dense(layers, weights, biases, xs, tuned):
    torch = torch_ready()
    from torch.nn import functional as F
    pairs = [(torch.from_numpy(weight), torch.from_numpy(bias)) for weight, bias in zip(weights, biases)]
    (w0, b0), (w1, b1), (w2, b2), *rest = pairs

    def mlp(x):
        return F.linear(F.relu(F.linear(F.relu(F.linear(x, w0, b0)), w1, b1)), w2, b2)

    def lenet5(x):
        x = F.max_pool2d(F.relu(F.conv2d(x, w0, b0)), 2)
        x = F.max_pool2d(F.relu(F.conv2d(x, w1, b1)), 2)
        return F.linear(F.relu(F.linear(x.flatten(1), w2, b2)), *rest[0])

    forward = lenet5 if rest else mlp
    return forward, [torch.from_numpy(x) for x in xs], lambda y: y.numpy()


def torch_compiled(layers, weights, biases, xs, tuned):
    """With `tuned`, the weights are constants of the compiled program, and its wrapper is in C++."""
    torch = torch_ready()
    from torch import nn
    if tuned:
        import torch._inductor.config as inductor
        inductor.freezing = True
        inductor.cpp_wrapper = True

    def module(layer):
        match layer:
            case ("dense", i, o): return nn.Linear(i, o)
            case ("conv", i, o, k, pad): return nn.Conv2d(i, o, k, padding=pad)
            case "relu": return nn.ReLU()
            case "pool": return nn.MaxPool2d(2)
            case "flatten": return nn.Flatten()

    model = nn.Sequential(*map(module, layers)).eval()
    for own, weight, bias in zip((part for part in model if hasattr(part, "weight")), weights, biases):
        own.weight.copy_(torch.from_numpy(weight))
        own.bias.copy_(torch.from_numpy(bias))
    return torch.compile(model), [torch.from_numpy(x) for x in xs], lambda y: y.numpy()


def torch_csr(layers, weights, biases, xs, tuned):
    """Dense layers only. The sparse matrix is the left factor, so the inputs are transposed."""
    torch = torch_ready()
    pairs = [(torch.from_numpy(bias)[:, None], torch.from_numpy(weight).to_sparse_csr())
             for weight, bias in zip(weights, biases)]
    *hidden, (last_bias, last) = pairs

    def forward(x):
        x = x.t()
        for bias, weight in hidden:
            x = torch.addmm(bias, weight, x).relu_()
        return torch.addmm(last_bias, last, x).t()

    return forward, [torch.from_numpy(x) for x in xs], lambda y: y.numpy()


def onnx(layers, weights, biases, xs, tuned):
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
    nodes, constants, pairs = [], [], zip(weights, biases)
    for i, layer in enumerate(layers):
        names, kind, settings = [f"x{i}"], layer, {}
        if isinstance(layer, tuple):
            for role, tensor in zip("wb", next(pairs)):
                names.append(f"{role}{i}")
                constants.append(numpy_helper.from_array(tensor, names[-1]))
            kind = layer[0]
        if kind == "dense":
            settings = {"transB": 1}
        if kind == "pool":
            settings = {"kernel_shape": [2, 2], "strides": [2, 2]}
        operation = {"dense": "Gemm", "conv": "Conv", "relu": "Relu", "pool": "MaxPool", "flatten": "Flatten"}[kind]
        nodes.append(helper.make_node(operation, names, [f"x{i + 1}"], **settings))
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    last = f"x{len(layers)}"
    graph = helper.make_graph(nodes, "net", [value("x0", list(xs[0].shape))], [value(last, [len(xs[0]), 10])], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda x: session.run([last], {"x0": x})[0], xs, lambda y: y


def scipy(layers, weights, biases, xs, tuned):
    """Dense layers only. A single input is multiplied as a vector; several are transposed first."""
    import numpy
    from scipy import sparse
    one = len(xs[0]) == 1
    pairs = [(sparse.csr_array(weight), bias if one else bias[:, None]) for weight, bias in zip(weights, biases)]
    *hidden, (last, last_bias) = pairs

    def forward(x):
        x = x[0] if one else numpy.ascontiguousarray(x.T)
        for weight, bias in hidden:
            x = weight @ x
            x += bias
            numpy.maximum(x, 0, out=x)
        x = last @ x
        x += last_bias
        return x.T

    return forward, xs, lambda y: y


def jax(layers, weights, biases, xs, tuned):
    """The weights are constants of the compiled program."""
    import jax
    import numpy
    from jax import lax, numpy as jnp
    pairs = [(jnp.asarray(weight), jnp.asarray(bias)) for weight, bias in zip(weights, biases)]

    @jax.jit
    def forward(x):
        left = iter(pairs)
        for layer in layers:
            match layer:
                case ("dense", *_):
                    weight, bias = next(left)
                    x = x @ weight.T + bias
                case ("conv", *_):
                    weight, bias = next(left)
                    x = lax.conv_general_dilated(x, weight, (1, 1), "VALID", dimension_numbers=("NCHW", "OIHW", "NCHW"))
                    x += bias[:, None, None]
                case "relu": x = jax.nn.relu(x)
                case "pool":
                    b, c, h, w = x.shape
                    x = x.reshape(b, c, h // 2, 2, w // 2, 2).max((3, 5))
                case "flatten": x = x.reshape(x.shape[0], -1)
        return x

    return lambda x: forward(x).block_until_ready(), [jnp.asarray(x) for x in xs], numpy.asarray
