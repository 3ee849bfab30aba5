"""The three GANs and their losses once more, in plain PyTorch: from the papers and official codes.

Nothing is fused, and nothing is shared with `dac` but the names of the modules, by which weights
are copied over. Pictures and features are `[B, C, H, W]`; only where a dense layer meets features
are these in Flax's order, `[4, 4, C]`, so that its weights need no sorting. All is float64, so that
what the two sides differ by is the rounding of one of them.
"""

from typing import NamedTuple

import jax
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from dac.covers.conditions import Album, encode
from dac.run.players import GANS

torch.set_num_threads(1)  # XLA has its own threads on the same cores

GENRES = 3
SLOPE = 0.2


# From JAX to PyTorch.


class Pair(NamedTuple):
    """A network twice, and the variables that both have."""

    flax: object
    variables: dict
    torch: nn.Module


def make_pairs(gan, resolution, fmaps, latent_size, conditions) -> tuple[Pair, Pair]:
    """Returns the generator and the critic of a GAN, with drawn variables."""
    latents, images = np.zeros((1, latent_size)), np.zeros((1, resolution, resolution, 3))
    fields = [name.removesuffix("_known") for name in conditions if name.endswith("_known")]
    conditions = {name: values[:1] for name, values in conditions.items()}
    pairs = []
    stage = GANS[gan].stage(resolution, 1.0)
    for player, x in (("Generator", latents), ("Critic", images)):
        network = getattr(GANS[gan], player.lower())(resolution, *fmaps)
        shapes = jax.eval_shape(
            lambda x, network=network: network.init(jax.random.key(0), x, conditions, *stage),
            x.astype(np.float32),
        )
        variables = draw_variables(shapes, kernel_scale(gan))
        port = make_port(gan, player, resolution, fmaps, latent_size, fields)
        pairs.append(Pair(network, variables, load(port, variables)))
    return tuple(pairs)


def kernel_scale(gan: str) -> float:
    """Standard deviation of drawn kernels: equalised learning rate scales those of ProGAN down."""
    return {"progan": 1.0}.get(gan, 0.1)


def draw_variables(shapes, kernel_scale: float, seed: int = 0):
    """Draws variables; none is at a value that would hide it, such as a bias of 0.

    Args:
      shapes: of the variables, as `jax.eval_shape` gives them.
      kernel_scale: standard deviation of the kernels.
      seed: of the numbers.
    """
    random = np.random.default_rng(seed)

    def draw(path, leaf):
        name = path[-1].key
        noise = random.normal(size=leaf.shape).astype(np.float32)
        if name == "kernel":
            return np.float32(kernel_scale) * noise
        if name == "var":
            return np.float32(0.5) + noise**2
        return np.float32(name == "scale") + np.float32(0.3) * noise

    return jax.tree_util.tree_map_with_path(draw, shapes)


def draw_conditions(fields, batch: int) -> dict[str, np.ndarray]:
    """Draws what is known of some albums: of each field now and then nothing."""
    random = np.random.default_rng(2)

    def known(value):
        return value if random.random() < 0.7 else None

    albums = [
        Album(
            genres=known(dict(enumerate(random.dirichlet(np.ones(GENRES))))),
            year=known(int(random.integers(1930, 2030))),
            artist=known("".join(random.choice(list("aabcd "), size=12))),
            title=known("".join(random.choice(list("aabcd "), size=5))),
        )
        for _ in range(batch)
    ]
    return encode(albums, fields, GENRES)


def tensor(x) -> torch.Tensor:
    """An array as PyTorch has it: float64, and `[B, C, H, W]` if it is of pictures."""
    x = torch.from_numpy(np.array(x))
    x = x.permute(0, 3, 1, 2) if x.ndim == 4 else x
    return x.double() if x.is_floating_point() else x


def tensors(arrays: dict) -> dict[str, torch.Tensor]:
    return {name: tensor(values) for name, values in arrays.items()}


def to_torch(network: nn.Module, tree: dict, path: tuple[str, ...] = ()) -> dict[str, torch.Tensor]:
    """A tree shaped as a Flax network's variables, by PyTorch's names and in its layouts."""
    if isinstance(tree, dict):
        below = (to_torch(network, child, (*path, name)) for name, child in tree.items())
        return {name: value for child in below for name, value in child.items()}
    *parents, leaf = path
    value = torch.from_numpy(np.array(tree)).double()
    if leaf == "kernel" and value.ndim == 2:
        value = value.T  # [I, O] to [O, I]
    elif leaf == "kernel":
        transposed = isinstance(network.get_submodule(".".join(parents)), nn.ConvTranspose2d)
        # [H, W, I, O] to [I, O, H, W] or [O, I, H, W]
        value = value.permute(2, 3, 0, 1) if transposed else value.permute(3, 2, 0, 1)
    names = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}
    return {".".join([*parents, names.get(leaf, leaf)]): value}


def load(network: nn.Module, variables: dict) -> nn.Module:
    """Copies all of a Flax network's variables; neither side may have one more."""
    # Only PyTorch's batch norm counts its batches.
    everything = {k: v for k, v in network.state_dict().items() if k.endswith("_tracked")}
    for collection in variables.values():
        everything |= to_torch(network, collection)
    network.double().load_state_dict(everything)
    return network


def running_averages(network: nn.Module) -> dict[str, torch.Tensor]:
    """Those of batch norm."""
    return {k: x for k, x in network.named_buffers() if not k.endswith("_tracked")}


def assert_close(ours, theirs: torch.Tensor) -> None:
    """Asserts that numbers agree within 1e-4, relative to the largest of `theirs`."""
    assert_all_close({"ours": tensor(ours)}, {"ours": theirs})


def assert_all_close(
    ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor], floor: float = 0.0
) -> None:
    """As `assert_close`, tensor by tensor, where numbers are above `floor`; below, relative to it.

    It is 1% of the largest number of all or more: some gradients are 0 as their parts cancel, such
    as that of a bias before batch norm, and nothing is more exact than what it is computed from.
    """
    assert ours.keys() == theirs.keys()
    floor = max([floor, *(0.01 * x.abs().max().item() for x in theirs.values())])
    for name, expected in theirs.items():
        assert ours[name].shape == expected.shape, name
        error, size = (ours[name] - expected).abs().max().item(), expected.abs().max().item()
        assert error <= 1e-4 * max(size, floor), f"{name}: {error:.1e} apart, numbers to {size:.1e}"


# Layers.


def pixel_norm(x):
    return x / torch.sqrt(x.pow(2).mean(dim=1, keepdim=True) + 1e-8)


def minibatch_stddev(x, group_size=4):
    size = min(group_size, len(x))
    variance = x.unflatten(0, (-1, size)).var(dim=1, unbiased=False)
    deviation = torch.sqrt(variance + 1e-8).flatten(1).mean(dim=1).repeat_interleave(size)
    return torch.cat([x, deviation[:, None, None, None].expand(-1, 1, *x.shape[2:])], dim=1)


def upsample(x):
    return F.interpolate(x, scale_factor=2, mode="nearest")


def downsample(x):
    return F.avg_pool2d(x, 2)


class EqualizedLinear(nn.Linear):
    def __init__(self, inputs, outputs, gain=2**0.5):
        super().__init__(inputs, outputs)
        self.scale = gain / inputs**0.5

    def forward(self, x):
        return F.linear(x, self.weight * self.scale, self.bias)


class EqualizedConv2d(nn.Conv2d):
    def __init__(self, inputs, outputs, size, gain=2**0.5):
        super().__init__(inputs, outputs, size, padding=size // 2)
        self.scale = gain / (inputs * size**2) ** 0.5

    def forward(self, x):
        return self._conv_forward(x, self.weight * self.scale, self.bias)


class EqualizedLatentsTo4x4(nn.Module):
    """A linear layer to `[B, C, 4, 4]`, with a bias a map and a gain of its own (G_paper)."""

    def __init__(self, inputs, features):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(16 * features, inputs))
        self.bias = nn.Parameter(torch.empty(features))
        self.scale = 2**0.5 / 4 / inputs**0.5

    def forward(self, x):
        x = F.linear(x, self.weight * self.scale).reshape(len(x), 4, 4, -1).permute(0, 3, 1, 2)
        return x + self.bias[:, None, None]


class BatchNorm(nn.BatchNorm2d):
    """PyTorch's, but its running variance is of the biased kind, as Flax and TensorFlow have it."""

    def __init__(self, features):
        super().__init__(features, eps=1e-5, momentum=0.01)

    def forward(self, x):
        kept = (1 - self.momentum) * self.running_var
        y = super().forward(x)
        if self.training:
            count = x.numel() // x.shape[1]
            self.running_var = kept + (self.running_var - kept) * (count - 1) / count
        return y


class ConditionEmbedding(nn.Module):
    """The sum of a vector for each field, which is `unknown`'s where an album's is not known."""

    def __init__(self, fields, features):
        super().__init__()
        self.fields = fields
        for field in fields:
            self.register_parameter(f"{field}_unknown", nn.Parameter(torch.empty(features)))
        if "genres" in fields:
            self.genres = nn.Parameter(torch.empty(GENRES, features))
        if "year" in fields:
            self.year = EqualizedLinear(10, features)
        if "artist" in fields or "title" in fields:
            self.ngrams = nn.Parameter(torch.empty(4096, 64))
        for field in {"artist", "title"} & set(fields):
            self.add_module(field, EqualizedLinear(64, features))

    def forward(self, conditions):
        return sum(
            torch.where(
                conditions[f"{field}_known"][:, None],
                self.embed(field, conditions[field]),
                getattr(self, f"{field}_unknown"),
            )
            for field in self.fields
        )

    def embed(self, field, values):
        if field == "genres":
            return values @ self.genres
        if field == "year":  # a wave and its quarter shift for each of these many years
            waves = torch.tensor([480, 240, 120, 60, 30], device=values.device)
            turns = 2 * torch.pi * 30 * values[:, None] / waves
            return self.year(torch.cat([turns.sin(), turns.cos()], dim=1))
        ones = torch.ones_like(values, dtype=self.ngrams.dtype)
        bags = torch.zeros(len(values), 4096, dtype=ones.dtype, device=values.device)
        bags = bags.scatter_add(1, values.long(), ones)[:, 1:]  # n-gram 0 is none
        roots = torch.sqrt(bags / bags.sum(dim=1, keepdim=True).clamp(min=1))  # of their shares
        return self.get_submodule(field)(F.leaky_relu(roots @ self.ngrams[1:], SLOPE))

    def class_loss(self, features, conditions):
        """How badly the fields are read off the features, which the score multiplies them with."""
        total = 0.0
        for field in self.fields:
            values, known = conditions[field], conditions[f"{field}_known"]
            if field == "genres":
                classes, targets = self.genres, values
            elif field == "year":  # marks every five years, and a share for those on both sides
                years = torch.arange(1860, 2101, 5, device=values.device)
                classes = self.embed("year", (years.to(values) - 1980) / 30)
                steps = (values * 30 + 1980 - 1860) / 5
                below = steps.floor().long()
                targets = torch.zeros(len(values), len(years), dtype=classes.dtype)
                targets = targets.to(values.device)
                targets[torch.arange(len(values)), below] = (1 - (steps - below)).to(targets)
                above = (below + 1).clamp(max=len(years) - 1)
                targets[torch.arange(len(values)), above] += (steps - below).to(targets)
            else:  # the names of the batch
                names = [tuple(name.tolist()) for name in values]
                told = [i for i in range(len(names)) if known[i]]
                classes = self.embed(field, values)[told]
                same = torch.tensor([[name == names[i] for i in told] for name in names])
                same = same.to(classes)
                targets = same / same.sum(dim=1, keepdim=True).clamp(min=1)
            if known.any():
                logits = features @ classes.T / features.shape[1] ** 0.5
                losses = F.cross_entropy(logits, targets.to(logits), reduction="none")
                total = total + torch.where(known, losses, 0.0).mean()
        return total


class Network(nn.ModuleDict):
    """What all six networks share: how conditions enter them, and convolutions that resample."""

    condition_scale = 1.0

    def __init__(self, fields, features, modules):
        conditions = {"conditions": ConditionEmbedding(fields, features)} if fields else {}
        super().__init__(modules | conditions)

    def join(self, latents, conditions):
        """The generators' input: the embedding is normalised apart from the latent."""
        if not conditions:
            return latents
        embedding = pixel_norm(self["conditions"](conditions))
        return torch.cat([latents, self.condition_scale * embedding], dim=1)

    def project(self, features, conditions):
        """Miyato and Koyama 2018, arXiv 1802.05637; scaled as in stylegan2-ada-pytorch."""
        self.features = features
        if not conditions:
            return 0.0
        embedding = self["conditions"](conditions)
        return (features * embedding).sum(dim=1) / features.shape[1] ** 0.5

    def conv_up(self, conv, x):
        return conv(upsample(x))

    def conv_down(self, conv, x):
        return downsample(conv(x))


def width(r, fmap_base, fmap_max):
    """Number of feature maps at resolution r, 2^(stage + 1): ProGAN's networks.py, nf."""
    stage = np.log2(r) - 1
    return min(int(fmap_base / 2.0**stage), fmap_max)


def sizes_to(resolution):
    sizes = [4]
    while sizes[-1] < resolution:
        sizes.append(2 * sizes[-1])
    return sizes


# ProGAN: Karras et al. 2018, arXiv 1710.10196; tkarras/progressive_growing_of_gans, networks.py.


class ProGANGenerator(Network):
    def __init__(self, latent_size, resolution, *fmaps, fields=()):
        maps = {r: width(r, *fmaps) for r in sizes_to(resolution)}
        inputs = 2 * latent_size if fields else latent_size
        modules = {
            "dense_4x4": EqualizedLatentsTo4x4(inputs, maps[4]),
            "conv_4x4": EqualizedConv2d(maps[4], maps[4], 3),
            "to_rgb_4x4": EqualizedConv2d(maps[4], 3, 1, gain=1),
        }
        for r in sizes_to(resolution)[1:]:
            modules[f"block_{r}x{r}"] = nn.ModuleDict(
                {
                    "conv_up": EqualizedConv2d(maps[r // 2], maps[r], 3),
                    "conv": EqualizedConv2d(maps[r], maps[r], 3),
                }
            )
            modules[f"to_rgb_{r}x{r}"] = EqualizedConv2d(maps[r], 3, 1, gain=1)
        super().__init__(fields, latent_size, modules)

    def forward(self, latents, conditions, resolution, alpha):
        def activate(x):
            return pixel_norm(F.leaky_relu(x, SLOPE))

        x = activate(self["dense_4x4"](self.join(pixel_norm(latents), conditions)))
        x = activate(self["conv_4x4"](x))
        image = self["to_rgb_4x4"](x)
        for r in sizes_to(resolution)[1:]:
            block = self[f"block_{r}x{r}"]
            x = activate(self.conv_up(block["conv_up"], x))
            x = activate(block["conv"](x))
            old, image = image, self[f"to_rgb_{r}x{r}"](x)
        if resolution == 4:
            return image
        old = upsample(old)  # in float32, if autocast is on and the device is a GPU
        return torch.lerp(old, image.to(old.dtype), alpha)


class ProGANCritic(Network):
    def __init__(self, resolution, *fmaps, fields=()):
        maps = {r: width(r, *fmaps) for r in sizes_to(resolution)}
        modules = {
            "from_rgb_4x4": EqualizedConv2d(3, maps[4], 1),
            "conv_4x4": EqualizedConv2d(maps[4] + 1, maps[4], 3),
            "dense_4x4": EqualizedLinear(16 * maps[4], maps[4]),
            "output": EqualizedLinear(maps[4], 1, gain=1),
        }
        for r in sizes_to(resolution)[1:]:
            modules[f"from_rgb_{r}x{r}"] = EqualizedConv2d(3, maps[r], 1)
            modules[f"block_{r}x{r}"] = nn.ModuleDict(
                {
                    "conv": EqualizedConv2d(maps[r], maps[r], 3),
                    "conv_down": EqualizedConv2d(maps[r], maps[r // 2], 3),
                }
            )
        super().__init__(fields, maps[4], modules)

    def forward(self, images, conditions, resolution, alpha):
        def from_rgb(images, r):
            return F.leaky_relu(self[f"from_rgb_{r}x{r}"](images), SLOPE)

        x = from_rgb(images, resolution)
        for r in sizes_to(resolution)[:0:-1]:
            block = self[f"block_{r}x{r}"]
            x = F.leaky_relu(block["conv"](x), SLOPE)
            x = F.leaky_relu(self.conv_down(block["conv_down"], x), SLOPE)
            if r == resolution:
                x = torch.lerp(from_rgb(downsample(images), r // 2), x, alpha)
        x = F.leaky_relu(self["conv_4x4"](minibatch_stddev(x)), SLOPE)
        x = F.leaky_relu(self["dense_4x4"](x.permute(0, 2, 3, 1).flatten(1)), SLOPE)
        return self["output"](x)[:, 0] + self.project(x, conditions)


# DCGAN: Radford et al. 2016, arXiv 1511.06434; Newmu/dcgan_code, faces/train_uncond_dcgan.py.


class DCGANGenerator(Network):
    def __init__(self, latent_size, resolution, *fmaps, fields=()):
        sizes = sizes_to(resolution // 2)
        maps = {r: width(r, *fmaps) for r in sizes} | {resolution: 3}
        inputs = 2 * latent_size if fields else latent_size
        modules = {
            "dense_4x4": nn.Linear(inputs, 16 * maps[4], bias=False),
            "norm_4x4": BatchNorm(16 * maps[4]),
        }
        for r in sizes:
            name = "output" if 2 * r == resolution else f"conv_{2 * r}x{2 * r}"
            modules[name] = nn.ConvTranspose2d(
                maps[r], maps[2 * r], 5, stride=2, padding=2, output_padding=1, bias=False
            )
            if r > 4:
                modules[f"norm_{r}x{r}"] = BatchNorm(maps[r])
        super().__init__(fields, latent_size, modules)

    def forward(self, latents, conditions, resolution, alpha):
        x = self["dense_4x4"](self.join(latents, conditions))
        x = F.relu(self["norm_4x4"](x[:, :, None, None]))
        x = x.reshape(len(x), 4, 4, -1).permute(0, 3, 1, 2)
        for r in sizes_to(resolution // 2)[1:]:
            x = F.relu(self[f"norm_{r}x{r}"](self[f"conv_{r}x{r}"](x)))
        return torch.tanh(self["output"](x))


class DCGANCritic(Network):
    def __init__(self, resolution, *fmaps, fields=()):
        sizes = sizes_to(resolution // 2)
        maps = {r: width(r, *fmaps) for r in sizes} | {resolution: 3}
        modules = {"output": nn.Linear(16 * maps[4], 1, bias=False)}
        for r in sizes:
            modules[f"conv_{r}x{r}"] = nn.Conv2d(
                maps[2 * r], maps[r], 5, stride=2, padding=2, bias=False
            )
            if 2 * r < resolution:
                modules[f"norm_{r}x{r}"] = BatchNorm(maps[r])
        super().__init__(fields, maps[4], modules)

    def forward(self, images, conditions, resolution, alpha):
        first, *others = sizes_to(resolution // 2)[::-1]
        x = F.leaky_relu(self[f"conv_{first}x{first}"](images), SLOPE)
        for r in others:
            x = F.leaky_relu(self[f"norm_{r}x{r}"](self[f"conv_{r}x{r}"](x)), SLOPE)
        logits = self["output"](x.permute(0, 2, 3, 1).flatten(1))[:, 0]
        return logits + self.project(x.sum(dim=(2, 3)), conditions)


# WGAN-GP: Gulrajani et al. 2017, arXiv 1704.00028; igul222/improved_wgan_training, gan_64x64.py.


class WGANGPGenerator(Network):
    def __init__(self, latent_size, resolution, *fmaps, fields=()):
        maps = {r: width(r, *fmaps) for r in sizes_to(resolution)}
        inputs = 2 * latent_size if fields else latent_size
        modules = {
            "dense_4x4": nn.Linear(inputs, 16 * maps[4]),
            "norm": BatchNorm(maps[resolution]),
            "output": nn.Conv2d(maps[resolution], 3, 3, padding=1),
        }
        for r in sizes_to(resolution)[1:]:
            modules[f"block_{r}x{r}"] = nn.ModuleDict(
                {
                    "shortcut": nn.Conv2d(maps[r // 2], maps[r], 1),
                    "norm_up": BatchNorm(maps[r // 2]),
                    "conv_up": nn.Conv2d(maps[r // 2], maps[r], 3, padding=1, bias=False),
                    "norm": BatchNorm(maps[r]),
                    "conv": nn.Conv2d(maps[r], maps[r], 3, padding=1),
                }
            )
        super().__init__(fields, latent_size, modules)

    def forward(self, latents, conditions, resolution, alpha):
        x = self["dense_4x4"](self.join(latents, conditions))
        x = x.reshape(len(x), 4, 4, -1).permute(0, 3, 1, 2)
        for r in sizes_to(resolution)[1:]:
            block = self[f"block_{r}x{r}"]
            shortcut = block["shortcut"](upsample(x))
            x = self.conv_up(block["conv_up"], F.relu(block["norm_up"](x)))
            x = shortcut + block["conv"](F.relu(block["norm"](x)))
        return torch.tanh(self["output"](F.relu(self["norm"](x))))


class WGANGPCritic(Network):
    def __init__(self, resolution, *fmaps, fields=()):
        maps = {r: width(r, *fmaps) for r in sizes_to(resolution)}
        modules = {
            "input": nn.Conv2d(3, maps[resolution], 3, padding=1),
            "output": nn.Linear(16 * maps[4], 1),
        }
        for r in sizes_to(resolution)[1:]:
            modules[f"block_{r}x{r}"] = nn.ModuleDict(
                {
                    "shortcut": nn.Conv2d(maps[r], maps[r // 2], 1),
                    "norm": nn.GroupNorm(1, maps[r], eps=1e-5),
                    "conv": nn.Conv2d(maps[r], maps[r], 3, padding=1, bias=False),
                    "norm_down": nn.GroupNorm(1, maps[r], eps=1e-5),
                    "conv_down": nn.Conv2d(maps[r], maps[r // 2], 3, padding=1),
                }
            )
        super().__init__(fields, maps[4], modules)

    def forward(self, images, conditions, resolution, alpha):
        x = self["input"](images)
        for r in sizes_to(resolution)[:0:-1]:
            block = self[f"block_{r}x{r}"]
            shortcut = block["shortcut"](downsample(x))
            x = block["conv"](F.relu(block["norm"](x)))
            x = shortcut + self.conv_down(block["conv_down"], F.relu(block["norm_down"](x)))
        scores = self["output"](x.permute(0, 2, 3, 1).flatten(1))[:, 0]
        return scores + self.project(x.sum(dim=(2, 3)), conditions)


def make_port(gan, player, resolution, fmaps, latent_size, fields) -> nn.Module:
    """Returns a network by the names that `dac` gives it."""
    if player == "Generator":
        make = {"progan": ProGANGenerator, "dcgan": DCGANGenerator, "wgan_gp": WGANGPGenerator}
        return make[gan](latent_size, resolution, *fmaps, fields=fields)
    make = {"progan": ProGANCritic, "dcgan": DCGANCritic, "wgan_gp": WGANGPCritic}
    return make[gan](resolution, *fmaps, fields=fields)


# Losses.


def score_losses(loss, real_scores, fake_scores):
    """The critic's and the generator's, without the critic's penalties."""
    if loss == "wgan_gp":  # Gulrajani et al. 2017, algorithm 1
        return fake_scores.mean() - real_scores.mean(), -fake_scores.mean()
    if loss == "non_saturating":  # Newmu/dcgan_code, d_cost and g_cost
        cross_entropy = F.binary_cross_entropy_with_logits
        ones, zeros = torch.ones_like(real_scores), torch.zeros_like(real_scores)
        critic = cross_entropy(real_scores, ones) + cross_entropy(fake_scores, zeros)
        return critic, cross_entropy(fake_scores, ones)
    # RpGAN: Huang et al. 2024, arXiv 2501.05441, section 2
    better = real_scores - fake_scores
    return -F.logsigmoid(better).mean(), -F.logsigmoid(-better).mean()


def squared_gradient_norms(critic, images):
    """Of each picture's score; the graph stays, for the gradient by the critic's parameters."""
    images = images.detach().requires_grad_()
    (gradients,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
    return gradients.pow(2).sum(dim=(1, 2, 3))


def gradient_penalty(critic, real, fake, mixing):
    """Gulrajani et al. 2017, algorithm 1; `mixing` is the weight of the fake."""
    mixing = mixing[:, None, None, None]
    mixed = (1 - mixing) * real + mixing * fake
    return (squared_gradient_norms(critic, mixed).sqrt() - 1).pow(2).mean()


def critic_loss(config, critic, real, fake, mixing, gamma, class_loss):
    """The critic's whole loss, and its parts by the names of the step's metrics.

    `gamma` weighs R1 and R2; `class_loss` is that of the pictures which were scored last.
    """
    real_scores = critic(real)
    classes = class_loss() if config.class_loss_weight else None
    fake_scores = critic(fake)
    loss, _ = score_losses(config.loss, real_scores, fake_scores)
    parts = {"real_score": real_scores.mean(), "fake_score": fake_scores.mean()}
    if config.loss == "wgan_gp":  # with the drift of Karras et al. 2018, appendix A.1
        parts["gradient_penalty"] = gradient_penalty(critic, real, fake, mixing)
        loss = loss + config.gradient_penalty_weight * parts["gradient_penalty"]
        loss = loss + config.drift_weight * real_scores.pow(2).mean()
    elif config.loss == "rpgan_r1r2":  # Huang et al. 2024, section 2: gamma / 2 on both
        parts["r1"] = squared_gradient_norms(critic, real).mean()
        parts["r2"] = squared_gradient_norms(critic, fake).mean()
        loss = loss + gamma / 2 * (parts["r1"] + parts["r2"])
    if config.class_loss_weight:
        parts["class_loss"] = classes
        loss = loss + config.class_loss_weight * classes
    return loss, parts | {"critic_loss": loss}


# DiffAugment: Zhao et al. 2020, arXiv 2006.10738; mit-han-lab/data-efficient-gans.


def translate(images, rows, columns):
    """Shifts each picture by its own number of rows and columns, `[B]`, over zeros."""

    def places(shifts):  # in the padded pictures, [B, size]
        size = images.shape[2]
        shifts = torch.as_tensor(shifts, device=images.device)
        pixels = torch.arange(size, device=images.device)
        return (pixels - shifts[:, None] + 1).clamp(0, size + 1)

    numbers = torch.arange(len(images), device=images.device)[:, None, None]
    padded = F.pad(images, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    shifted = padded[numbers, places(rows)[:, :, None], places(columns)[:, None, :]]
    return shifted.permute(0, 3, 1, 2)


def cut_out(images, rows, columns):
    """Sets a square of half the side to 0; given its centre, or what comes after it, `[B]`."""

    def places(centres):  # [B, side]
        size = images.shape[2]
        side = int(size * 0.5 + 0.5)
        centres = torch.as_tensor(centres, device=images.device)
        pixels = torch.arange(side, device=images.device)
        return (pixels + centres[:, None] - side // 2).clamp(0, size - 1)

    numbers = torch.arange(len(images), device=images.device)[:, None, None]
    mask = torch.ones_like(images[:, 0])
    mask[numbers, places(rows)[:, :, None], places(columns)[:, None, :]] = 0
    return images * mask[:, None]
