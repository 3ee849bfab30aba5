"""Plain PyTorch versions of the three GANs and their losses, from the papers and official code.

Nothing is fused. Only the module names are shared with `dac`, so that weights can be copied.
Pictures and features are `[B, C, H, W]`. Next to a dense layer, features are in Flax's order,
`[4, 4, C]`, so that its weights need no reordering. Everything is float64, so differences come only
from rounding in JAX.
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
    """A network in Flax and in PyTorch, and the variables of both."""

    flax: object
    variables: dict
    torch: nn.Module


def make_pairs(gan, resolution, fmaps, latent_size, conditions) -> tuple[Pair, Pair]:
    """Returns the generator and the critic of a GAN, with random variables."""
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
    """Returns the standard deviation for random kernels; ProGAN scales its own down at run time."""
    return {"progan": 1.0}.get(gan, 0.1)


def draw_variables(shapes, kernel_scale: float, seed: int = 0):
    """Draws random variables; none has a value that would hide its effect, such as a bias of 0.

    Args:
      shapes: the variables' shapes, from `jax.eval_shape`.
      kernel_scale: standard deviation of the kernels.
      seed: the random seed.
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
    """Draws the conditions of some albums, in which each field is sometimes unknown."""
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
    """Converts an array to PyTorch: float64, and `[B, C, H, W]` for pictures."""
    x = torch.from_numpy(np.array(x))
    x = x.permute(0, 3, 1, 2) if x.ndim == 4 else x
    return x.double() if x.is_floating_point() else x


def tensors(arrays: dict) -> dict[str, torch.Tensor]:
    return {name: tensor(values) for name, values in arrays.items()}


def to_torch(network: nn.Module, tree: dict, path: tuple[str, ...] = ()) -> dict[str, torch.Tensor]:
    """Converts a tree of a Flax network's variables to PyTorch's names and layouts."""
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
    """Copies all variables of a Flax network; both sides must have the same ones."""
    # Only PyTorch's batch norm counts its batches.
    everything = {k: v for k, v in network.state_dict().items() if k.endswith("_tracked")}
    for collection in variables.values():
        everything |= to_torch(network, collection)
    network.double().load_state_dict(everything)
    return network


def running_averages(network: nn.Module) -> dict[str, torch.Tensor]:
    """Returns the running averages of batch norm."""
    return {k: x for k, x in network.named_buffers() if not k.endswith("_tracked")}


def assert_close(ours, theirs: torch.Tensor) -> None:
    """Asserts that numbers agree within 1e-4, relative to the largest of `theirs`."""
    assert_all_close({"ours": tensor(ours)}, {"ours": theirs})


def assert_all_close(
    ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor], floor: float = 0.0
) -> None:
    """As `assert_close`, for each tensor, but errors in small tensors are relative to `floor`.

    The floor is raised to 1% of the largest number of all tensors. Some gradients are 0 because
    their parts cancel, such as that of a bias before batch norm; their error depends on the parts.
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
    maps = []
    for group in x.split(group_size):
        deviation = torch.sqrt(group.var(dim=0, unbiased=False) + 1e-8)
        maps.append(deviation.mean().expand(len(group), 1, *x.shape[2:]))
    return torch.cat([x, torch.cat(maps)], dim=1)


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
    """A linear layer to `[B, C, 4, 4]`, with one bias per map and its own gain (G_paper)."""

    def __init__(self, inputs, features):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(16 * features, inputs))
        self.bias = nn.Parameter(torch.empty(features))
        self.scale = 2**0.5 / 4 / inputs**0.5

    def forward(self, x):
        x = F.linear(x, self.weight * self.scale).reshape(len(x), 4, 4, -1).permute(0, 3, 1, 2)
        return x + self.bias[:, None, None]


class BatchNorm(nn.BatchNorm2d):
    """PyTorch's batch norm with a biased running variance, as in Flax and TensorFlow."""

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
    """Sums one vector per field; unknown fields have a learned vector of their own."""

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
        albums = range(len(conditions[f"{self.fields[0]}_known"]))
        sums = [sum(self.embed(f, conditions, album) for f in self.fields) for album in albums]
        return torch.stack(sums)

    def embed(self, field, conditions, album):
        value = conditions[field][album]
        if not conditions[f"{field}_known"][album]:
            return self.get_parameter(f"{field}_unknown")
        if field == "genres":
            return value @ self.genres
        if field == "year":  # sine and cosine for each wavelength in years
            turns = 2 * torch.pi * 30 * value / torch.tensor([480, 240, 120, 60, 30])
            return self.year(torch.cat([turns.sin(), turns.cos()]))
        ids, counts = value[value > 0].unique(return_counts=True)
        roots = torch.sqrt(
            counts / counts.double().sum()
        )  # of the n-grams' frequencies in the name
        return self.get_submodule(field)(F.leaky_relu(roots @ self.ngrams[ids], SLOPE))


def weighted(embedding, conditions):
    """Applies the ramp of Shahbazi et al. 2022, arXiv 2201.06578."""
    return embedding * conditions["weight"][:, None] if "weight" in conditions else embedding


class Network(nn.ModuleDict):
    """The base of all six networks: how conditions enter them."""

    def __init__(self, fields, features, modules):
        conditions = {"conditions": ConditionEmbedding(fields, features)} if fields else {}
        super().__init__(modules | conditions)

    def join(self, latents, conditions):
        """Returns the generator's input: latents and the embedding, normalised separately."""
        if not conditions:
            return latents
        embedding = pixel_norm(self["conditions"](conditions))
        return torch.cat([latents, weighted(embedding, conditions)], dim=1)

    def project(self, features, conditions):
        """Returns the projection of Miyato and Koyama 2018, scaled as in stylegan2-ada-pytorch."""
        if not conditions:
            return 0.0
        embedding = weighted(self["conditions"](conditions), conditions)
        return (features * embedding).sum(dim=1) / features.shape[1] ** 0.5


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
            x = activate(block["conv_up"](upsample(x)))
            x = activate(block["conv"](x))
            old, image = image, self[f"to_rgb_{r}x{r}"](x)
        return image if resolution == 4 else torch.lerp(upsample(old), image, tensor(alpha))


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
            x = F.leaky_relu(downsample(block["conv_down"](x)), SLOPE)
            if r == resolution:
                x = torch.lerp(from_rgb(downsample(images), r // 2), x, tensor(alpha))
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
        return logits + self.project(x.mean(dim=(2, 3)), conditions)


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
            x = block["conv_up"](upsample(F.relu(block["norm_up"](x))))
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
            x = shortcut + downsample(block["conv_down"](F.relu(block["norm_down"](x))))
        scores = self["output"](x.permute(0, 2, 3, 1).flatten(1))[:, 0]
        return scores + self.project(x.mean(dim=(2, 3)), conditions)


def make_port(gan, player, resolution, fmaps, latent_size, fields) -> nn.Module:
    """Returns the PyTorch version of a network, which is chosen by its names in `dac`."""
    if player == "Generator":
        make = {"progan": ProGANGenerator, "dcgan": DCGANGenerator, "wgan_gp": WGANGPGenerator}
        return make[gan](latent_size, resolution, *fmaps, fields=fields)
    make = {"progan": ProGANCritic, "dcgan": DCGANCritic, "wgan_gp": WGANGPCritic}
    return make[gan](resolution, *fmaps, fields=fields)


# Losses.


def score_losses(loss, real_scores, fake_scores):
    """Returns the critic's and the generator's losses, without penalties."""
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
    """Returns squared gradient norms of each score; keeps the graph for second derivatives."""
    images = images.detach().requires_grad_()
    (gradients,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
    return gradients.pow(2).sum(dim=(1, 2, 3))


def gradient_penalty(critic, real, fake, mixing):
    """Gulrajani et al. 2017, algorithm 1; `mixing` is the weight of the fake."""
    mixing = mixing[:, None, None, None]
    mixed = (1 - mixing) * real + mixing * fake
    return (squared_gradient_norms(critic, mixed).sqrt() - 1).pow(2).mean()


def critic_loss(config, critic, real, fake, mixing):
    """Returns the critic's whole loss, and its parts, named like the step's metrics."""
    real_scores, fake_scores = critic(real), critic(fake)
    loss, _ = score_losses(config.loss, real_scores, fake_scores)
    parts = {"real_score": real_scores.mean(), "fake_score": fake_scores.mean()}
    if config.loss == "wgan_gp":  # with the drift of Karras et al. 2018, appendix A.1
        parts["gradient_penalty"] = gradient_penalty(critic, real, fake, mixing)
        loss = loss + config.gradient_penalty_weight * parts["gradient_penalty"]
        loss = loss + config.drift_weight * real_scores.pow(2).mean()
    elif config.loss == "rpgan_r1r2":  # Huang et al. 2024, section 2: gamma / 2 on both
        parts["r1"] = squared_gradient_norms(critic, real).mean()
        parts["r2"] = squared_gradient_norms(critic, fake).mean()
        loss = loss + config.r1_r2_gamma / 2 * (parts["r1"] + parts["r2"])
    return loss, parts | {"critic_loss": loss}


# DiffAugment: Zhao et al. 2020, arXiv 2006.10738; mit-han-lab/data-efficient-gans.


def translate(images, rows, columns):
    """Shifts each picture by its own number of rows and columns, and fills with zeros."""
    size = images.shape[2]
    padded = F.pad(images, (1, 1, 1, 1))
    shifted = []
    for image, row, column in zip(padded, rows, columns, strict=True):
        grid_rows = (torch.arange(size) - row + 1).clamp(0, size + 1)
        grid_columns = (torch.arange(size) - column + 1).clamp(0, size + 1)
        shifted.append(image[:, grid_rows][:, :, grid_columns])
    return torch.stack(shifted)


def cut_out(images, rows, columns):
    """Zeroes a square of half the side, given its centre, or the pixel after it for even sides."""
    size = images.shape[2]
    side = int(size * 0.5 + 0.5)
    mask = torch.ones_like(images)
    for picture, row, column in zip(mask, rows, columns, strict=True):
        grid_rows = (torch.arange(side) + row - side // 2).clamp(0, size - 1)
        grid_columns = (torch.arange(side) + column - side // 2).clamp(0, size - 1)
        for r in grid_rows:
            picture[:, r, grid_columns] = 0
    return images * mask
