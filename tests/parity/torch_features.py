"""EfficientNet-Lite0 and FID's InceptionV3 in plain PyTorch, as references.

They are written from the papers and the names of the tensors in the published files.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn


class Same(nn.Conv2d):
    """TensorFlow's padding `SAME`: the odd pixel is at the end."""

    def forward(self, x):
        pads = []
        for size, kernel, stride in zip(x.shape[:1:-1], self.kernel_size, self.stride, strict=True):
            total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(x, pads))


class MBConv(nn.Module):
    """An inverted bottleneck without squeeze and excitation."""

    def __init__(self, inputs, outputs, expand, kernel, stride):
        super().__init__()
        middle = inputs * expand
        if expand > 1:
            self._expand_conv = Same(inputs, middle, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(middle, eps=1e-3)
        self._depthwise_conv = Same(middle, middle, kernel, stride, groups=middle, bias=False)
        self._bn1 = nn.BatchNorm2d(middle, eps=1e-3)
        self._project_conv = Same(middle, outputs, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(outputs, eps=1e-3)
        self.skips = stride == 1 and inputs == outputs

    def forward(self, x):
        out = x
        if hasattr(self, "_expand_conv"):
            out = F.relu6(self._bn0(self._expand_conv(out)))
        out = F.relu6(self._bn1(self._depthwise_conv(out)))
        out = self._bn2(self._project_conv(out))
        return out + x if self.skips else out


class EfficientNetLite0(nn.Module):
    """From uint8 pictures `[B, 3, 224, 224]`, as floats, to 1,280 features."""

    def __init__(self):
        super().__init__()
        self._conv_stem = Same(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        blocks, inputs = [], 32
        # Expansion, outputs, repeats, stride, kernel.
        for expand, outputs, repeats, stride, kernel in (
            (1, 16, 1, 1, 3),
            (6, 24, 2, 2, 3),
            (6, 40, 2, 2, 5),
            (6, 80, 3, 2, 3),
            (6, 112, 3, 1, 5),
            (6, 192, 4, 2, 5),
            (6, 320, 1, 1, 3),
        ):
            for i in range(repeats):
                blocks.append(MBConv(inputs, outputs, expand, kernel, stride if i == 0 else 1))
                inputs = outputs
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = Same(320, 1280, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(1280, eps=1e-3)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, x):
        x = F.relu6(self._bn0(self._conv_stem((x - 127) / 128)))
        for block in self._blocks:
            x = block(x)
        return F.relu6(self._bn1(self._conv_head(x))).mean((2, 3))


class Unit(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, inputs, outputs, kernel, stride=1, padding=0):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


WIDE, TALL = {"kernel": (1, 7), "padding": (0, 3)}, {"kernel": (7, 1), "padding": (3, 0)}


def unit(inputs, outputs, kernel, stride=1, padding=0):
    return Unit(inputs, outputs, kernel, stride, padding)


def mean3(x):
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class BlockA(nn.Module):
    def __init__(self, inputs, pooled):
        super().__init__()
        self.branch1x1 = unit(inputs, 64, 1)
        self.branch5x5_1, self.branch5x5_2 = unit(inputs, 48, 1), unit(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = unit(inputs, 64, 1)
        self.branch3x3dbl_2 = unit(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = unit(96, 96, 3, padding=1)
        self.branch_pool = unit(inputs, pooled, 1)

    def forward(self, x):
        five = self.branch5x5_2(self.branch5x5_1(x))
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), five, double, self.branch_pool(mean3(x))], 1)


class BlockB(nn.Module):
    def __init__(self, inputs):
        super().__init__()
        self.branch3x3 = unit(inputs, 384, 3, 2)
        self.branch3x3dbl_1 = unit(inputs, 64, 1)
        self.branch3x3dbl_2 = unit(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = unit(96, 96, 3, 2)

    def forward(self, x):
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, 2)], 1)


class BlockC(nn.Module):
    def __init__(self, inputs, width):
        super().__init__()
        self.branch1x1 = unit(inputs, 192, 1)
        self.branch7x7_1 = unit(inputs, width, 1)
        self.branch7x7_2, self.branch7x7_3 = unit(width, width, **WIDE), unit(width, 192, **TALL)
        self.branch7x7dbl_1 = unit(inputs, width, 1)
        self.branch7x7dbl_2 = unit(width, width, **TALL)
        self.branch7x7dbl_3 = unit(width, width, **WIDE)
        self.branch7x7dbl_4 = unit(width, width, **TALL)
        self.branch7x7dbl_5 = unit(width, 192, **WIDE)
        self.branch_pool = unit(inputs, 192, 1)

    def forward(self, x):
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = x
        for i in range(1, 6):
            double = getattr(self, f"branch7x7dbl_{i}")(double)
        return torch.cat([self.branch1x1(x), seven, double, self.branch_pool(mean3(x))], 1)


class BlockD(nn.Module):
    def __init__(self, inputs):
        super().__init__()
        self.branch3x3_1, self.branch3x3_2 = unit(inputs, 192, 1), unit(192, 320, 3, 2)
        self.branch7x7x3_1 = unit(inputs, 192, 1)
        self.branch7x7x3_2, self.branch7x7x3_3 = unit(192, 192, **WIDE), unit(192, 192, **TALL)
        self.branch7x7x3_4 = unit(192, 192, 3, 2)

    def forward(self, x):
        seven = x
        for i in range(1, 5):
            seven = getattr(self, f"branch7x7x3_{i}")(seven)
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), seven, F.max_pool2d(x, 3, 2)], 1)


class BlockE(nn.Module):
    def __init__(self, inputs, pool):
        super().__init__()
        self.pool = pool
        wide, tall = {"kernel": (1, 3), "padding": (0, 1)}, {"kernel": (3, 1), "padding": (1, 0)}
        self.branch1x1 = unit(inputs, 320, 1)
        self.branch3x3_1 = unit(inputs, 384, 1)
        self.branch3x3_2a, self.branch3x3_2b = unit(384, 384, **wide), unit(384, 384, **tall)
        self.branch3x3dbl_1 = unit(inputs, 448, 1)
        self.branch3x3dbl_2 = unit(448, 384, 3, padding=1)
        self.branch3x3dbl_3a, self.branch3x3dbl_3b = unit(384, 384, **wide), unit(384, 384, **tall)
        self.branch_pool = unit(inputs, 192, 1)

    def forward(self, x):
        three = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        parts = [self.branch1x1(x), self.branch3x3_2a(three), self.branch3x3_2b(three)]
        parts += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)]
        return torch.cat([*parts, self.branch_pool(self.pool(x))], 1)


class Inception(nn.Module):
    """From uint8 pictures `[B, 3, 299, 299]`, as floats, to 2,048 features."""

    def __init__(self):
        super().__init__()
        self.Conv2d_1a_3x3 = unit(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = unit(32, 32, 3)
        self.Conv2d_2b_3x3 = unit(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = unit(64, 80, 1)
        self.Conv2d_4a_3x3 = unit(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c = BlockA(192, 32), BlockA(256, 64)
        self.Mixed_5d, self.Mixed_6a = BlockA(288, 64), BlockB(288)
        self.Mixed_6b, self.Mixed_6c = BlockC(768, 128), BlockC(768, 160)
        self.Mixed_6d, self.Mixed_6e = BlockC(768, 160), BlockC(768, 192)
        self.Mixed_7a = BlockD(768)
        self.Mixed_7b = BlockE(1280, mean3)
        self.Mixed_7c = BlockE(2048, lambda x: F.max_pool2d(x, 3, 1, 1))
        self.fc = nn.Linear(2048, 1008)

    def forward(self, x):
        x = self.Conv2d_1a_3x3((x - 128) / 128)
        x = F.max_pool2d(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(x)), 3, 2)
        x = F.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, 2)
        for name in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c"):
            x = getattr(self, f"Mixed_{name}")(x)
        return x.mean((2, 3))


def resize_like_tensorflow_1(x, side):
    """Bilinear, `align_corners=False`, without half pixels; `[B, C, H, W]`, one row at a time."""
    size = x.shape[-1]

    def neighbours(i):
        low = int(i * size / side)
        return low, min(low + 1, size - 1), i * size / side - low

    left, right, share = (
        torch.tensor(part) for part in zip(*map(neighbours, range(side)), strict=True)
    )
    rows = []
    for top, bottom, down in map(neighbours, range(side)):
        row = (1 - down) * x[..., top, :] + down * x[..., bottom, :]
        rows.append((1 - share) * row[..., left] + share * row[..., right])
    return torch.stack(rows, dim=-2)
