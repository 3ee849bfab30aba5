"""A whole training step of the three GANs in PyTorch: the loop that one would write there.

`test_step.py` compares it with ours in float64, and `experiments/benchmark.py` takes its time in
float32.
"""

import contextlib
import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from dac.run.players import gan_of
from dac.run.schedule import phases
from tests.parity import torch_gans as port


class TorchTraining:
    """Trains both players.

    Random numbers are drawn by methods that are told the stream and the number of the update, by
    which a test finds those of ours.
    """

    def __init__(
        self, config, phase, state, *, augment, dtype=torch.float64, device="cpu", fused=False
    ):
        """Starts from a state of ours.

        Args:
          config: the config of the run.
          phase: the phase of the resolution; the networks end there.
          state: a `GanState`, as NumPy has it.
          augment: whether the critic sees all pictures through DiffAugment.
          dtype: of parameters and pictures; with config.precision bf16 layers are autocast.
          device: where to.
          fused: whether to fuse resampling into convolutions, and the updates of Adam.
        """
        self.config, self.phase, self.augmented = config, phase, augment
        self.dtype, self.device = dtype, torch.device(device)
        self.number, self.images_seen = int(state.step), int(state.images_seen)
        self.players, self.adams = {}, {}
        for player in ("generator", "critic"):
            network = port.make_port(
                config.gan,
                player.title(),
                phase.resolution,
                (config.fmap_base, config.fmap_max),
                config.latent_size,
                config.conditions,
            )

            def part(name, network=network):  # our networks may end at a higher resolution
                return {k: x for k, x in getattr(state, name).items() if k in network}

            variables = {"params": part(player), "batch_stats": part(f"{player}_stats")}
            network.condition_scale = config.condition_scale
            self.players[player] = port.load(network, variables).to(self.device, dtype)
            optimizer = part(f"{player}_optimizer")
            self.adams[player] = self.make_adam(network, optimizer, fused)
            if fused:
                network.conv_up, network.conv_down = fused_conv_up, fused_conv_down
            if player == "generator":
                ema = port.to_torch(network, part("generator_ema"))
                self.ema = {k: x.to(self.device, dtype) for k, x in ema.items()}

    def make_adam(self, network, optimizer, fused):
        adam = torch.optim.Adam(
            network.parameters(),
            lr=self.phase.learning_rate,
            betas=(self.config.adam_b1, self.config.adam_b2),
            eps=self.config.adam_epsilon,
            fused=fused,
        )
        mu, nu = (port.to_torch(network, moments(optimizer, kind)) for kind in ("mu", "nu"))
        for name, parameter in network.named_parameters():
            adam.state[parameter] = {
                "step": torch.tensor(float(self.number), device=self.device if fused else "cpu"),
                "exp_avg": mu[name].to(parameter).contiguous(),
                "exp_avg_sq": nu[name].to(parameter).contiguous(),
            }
        return adam

    def put(self, batches):
        """A batch of ours, `[n_critic, B, ...]`, as `step` takes it: one for each update."""

        def put(x):
            x = torch.from_numpy(np.array(x)).to(self.device)
            x = x.permute(0, 3, 1, 2).contiguous() if x.ndim == 4 else x
            return x.to(self.dtype) if x.is_floating_point() else x

        count = len(batches["image"])
        return [{name: put(values[i]) for name, values in batches.items()} for i in range(count)]

    def step(self, batches):
        """Trains for a step; returns the metrics."""
        generator, critic = self.players["generator"], self.players["critic"]
        where = (self.phase.resolution, self.phase.alpha(self.images_seen))
        computed = torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"
        )
        learning_rate = self.phase.learning_rate * self.annealed(self.config.learning_rate_end)
        gamma = self.phase.r1_r2_gamma * self.annealed(self.config.r1_r2_gamma_end)
        for adam in self.adams.values():
            adam.param_groups[0]["lr"] = learning_rate
        metrics = []
        for i, batch in enumerate(batches):
            number = self.number * self.phase.n_critic + i
            conditions = self.conditions(batch, "critic_conditions", number)
            with computed:
                with torch.no_grad(), averages_kept(generator):
                    fake = generator(self.latents("critic_latents", number), conditions, *where)
                loss, parts = port.critic_loss(
                    self.config,
                    lambda images, given=conditions: critic(images, given, *where),
                    self.augment(self.real(batch, where[1]), "critic_augment_real", number),
                    self.augment(fake, "critic_augment_fake", number),
                    self.mixing("mixing", number),
                    gamma,
                    lambda given=conditions: self.class_loss(given),
                )
            critic.zero_grad()
            loss.backward()
            self.adams["critic"].step()
            metrics.append({name: value.detach() for name, value in parts.items()})

        conditions = self.conditions(batch, "generator_conditions", self.number)
        critic.requires_grad_(False)
        with averages_kept(critic), averages_kept(generator):
            with computed:
                latents = self.latents("generator_latents", self.number)
                fake = generator(latents, conditions, *where)
                fake = self.augment(fake, "generator_augment_fake", self.number)
                fake_scores = critic(fake, conditions, *where)
                classes = self.class_loss(conditions) if self.config.class_loss_weight else None
                real_scores = torch.zeros_like(fake_scores)  # most losses do not look at them
                if self.config.loss == "rpgan_r1r2":
                    real = self.real(batch, where[1])
                    real = self.augment(real, "generator_augment_real", self.number)
                    real_scores = critic(real, conditions, *where)
                _, loss = port.score_losses(self.config.loss, real_scores, fake_scores)
                if classes is not None:
                    loss = loss + self.config.class_loss_weight * classes
            generator.zero_grad()
            loss.backward()
            self.adams["generator"].step()
        critic.requires_grad_(True)

        half_life = 1000 * self.config.ema_half_life_kimg
        seen = self.images_seen + self.phase.images_per_step - self.phase.start
        suffix = f"_{self.phase.resolution}x{self.phase.resolution}"
        with torch.no_grad():
            for name, parameter in generator.named_parameters():
                new = self.phase.start == 0 or name.split(".")[0].endswith(suffix)
                own = min(half_life, 0.05 * seen) if new else half_life
                self.ema[name].lerp_(parameter, 1 - 0.5 ** (self.phase.images_per_step / own))
            # Running averages are of the average's pictures.
            torch.func.functional_call(generator, self.ema, (latents, conditions, *where))
        self.number += 1
        self.images_seen += self.phase.images_per_step
        means = {name: sum(parts[name] for parts in metrics) / len(metrics) for name in metrics[0]}
        if classes is not None:
            means["fake_class_loss"] = classes.detach()
        return means | {"generator_loss": loss.detach()}

    def annealed(self, end):
        """R3GAN's cosine, over the whole run."""
        share = self.images_seen / phases(self.config)[-1].end
        return end + (1 - end) * 0.5 * (1 + math.cos(math.pi * min(share, 1)))

    def class_loss(self, conditions):
        """Of the pictures that the critic scored last."""
        critic = self.players["critic"]
        return critic["conditions"].class_loss(critic.features, conditions)

    def conditions(self, batch, stream, number):
        """Hides each field of some albums."""
        conditions = {name: values for name, values in batch.items() if name != "image"}
        kept = self.kept(stream, number)
        for i, field in enumerate(self.config.conditions):
            conditions[f"{field}_known"] = conditions[f"{field}_known"] & kept[:, i]
        return conditions

    def real(self, batch, alpha):
        images = batch["image"].to(self.dtype) / 127.5 - 1
        if not gan_of(self.config).grows:
            return images
        return torch.lerp(port.upsample(port.downsample(images)), images, alpha)

    def augment(self, images, stream, number):
        """DiffAugment, by the official code: Zhao et al. 2020."""
        if not self.augmented:
            return images
        size = images.shape[2]
        reach, centres = int(size / 8), size + 1 - int(size / 2 + 0.5) % 2

        def draw(low, high):
            return torch.randint(low, high, (len(images),), device=self.device)

        images = port.translate(images, draw(-reach, reach + 1), draw(-reach, reach + 1))
        return port.cut_out(images, draw(0, centres), draw(0, centres))

    def latents(self, stream, number):
        shape = (self.phase.batch_size, self.config.latent_size)
        if self.config.latent_distribution == "uniform":
            return 2 * torch.rand(shape, dtype=self.dtype, device=self.device) - 1
        return torch.randn(shape, dtype=self.dtype, device=self.device)

    def mixing(self, stream, number):
        return torch.rand(self.phase.batch_size, dtype=self.dtype, device=self.device)

    def kept(self, stream, number):
        shape = (self.phase.batch_size, len(self.config.conditions))
        return torch.rand(shape, device=self.device) >= self.config.condition_drop_rate


def moments(optimizer, kind):
    """Adam's `mu` or `nu` of a state of ours, shaped as the parameters."""
    return {name: getattr(module[0], kind) for name, module in optimizer.items()}


@contextlib.contextmanager
def averages_kept(network):
    """Takes back what a pass makes of the running averages of batch norm."""
    before = {name: x.clone() for name, x in network.named_buffers()}
    yield
    for name, x in network.named_buffers():
        x.copy_(before[name])


# Resampling fused into convolutions, as in the official code of ProGAN (networks.py, fused_scale).


def fused_conv_up(conv, x):
    """`conv(upsample(x))` as one transposed convolution."""
    kernel = wide_kernel(conv).transpose(0, 1).flip(2, 3)
    return F.conv_transpose2d(x, kernel, conv.bias, stride=2, padding=1)


def fused_conv_down(conv, x):
    """`downsample(conv(x))` as one convolution of stride 2."""
    return F.conv2d(x, wide_kernel(conv) / 4, conv.bias, stride=2, padding=1)


def wide_kernel(conv):
    """The 3x3 kernel of a layer, summed over the 2x2 pixels that see one: 4x4."""
    padded = F.pad(conv.weight * getattr(conv, "scale", 1.0), (1, 1, 1, 1))
    return sum(padded[..., i : i + 4, j : j + 4] for i in (0, 1) for j in (0, 1))
