"""Golden values of convolutions and pools, from PyTorch in double precision.

    python tests/kernels/golden/conv.py > tests/kernels/golden/conv.json      # torch 2.x, CPU
"""

import json
import math

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def numbers(f, *shape):
    return torch.tensor([f(i) for i in range(math.prod(shape))]).reshape(shape).requires_grad_()


def rounded(tensor):
    return [float(f"{x:.14g}") for x in tensor.flatten().tolist()]


def image(*shape):
    return numbers(lambda i: math.sin(1.0 + 0.37 * i) + 0.3 * math.cos(0.11 * i * i), *shape)


def gradients(y, *inputs):
    """Of sum_j y_j cos(j)."""
    weight = torch.tensor([math.cos(j) for j in range(y.numel())]).reshape(y.shape)
    return [rounded(g) for g in torch.autograd.grad((y * weight).sum(), inputs)]


def conv(name, c, o, k, stride, pad, dilation, groups, size):
    x = image(2, c, *size)
    w = numbers(lambda i: math.cos(0.73 * i), o, c // groups, k, k)
    b = numbers(lambda i: 0.1 * i - 0.2, o)
    y = F.conv2d(x, w, b, stride, pad, dilation, groups)
    dx, dw, db = gradients(y, x, w, b)
    return dict(name=name, size=size, shape=list(y.shape), y=rounded(y), dx=dx, dw=dw, db=db)


def pool(name, kind, k, stride, pad, size):
    x = image(2, 3, *size)
    y = getattr(F, f"{kind}_pool2d")(x, k, stride, pad)
    (dx,) = gradients(y, x)
    return dict(name=name, size=size, shape=list(y.shape), y=rounded(y), dx=dx)


print(json.dumps([
    conv("plain", 2, 3, 3, 1, 0, 1, 1, (5, 4)),
    conv("strided", 3, 2, 2, 2, 1, 1, 1, (5, 6)),
    conv("dilated", 1, 2, 3, 1, 2, 2, 1, (6, 5)),
    conv("grouped", 4, 6, 3, 1, 1, 1, 2, (4, 3)),
    conv("depthwise", 3, 3, 3, 2, 1, 1, 3, (5, 5)),
    pool("max", "max", 2, 2, 0, (5, 6)),
    pool("max overlapping", "max", 3, 2, 1, (7, 5)),
    pool("avg", "avg", 2, 2, 0, (5, 6)),
    pool("avg overlapping", "avg", 3, 1, 1, (4, 5)),
]))
