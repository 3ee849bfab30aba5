"""Compares a whole training step of each GAN with a plain PyTorch training loop."""

import copy
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import dcgan, progan, progan_full, wgan_gp
from dac.run.players import draw_latents, gan_of
from dac.run.schedule import phases
from dac.training import parallel
from dac.training.augment import diff_augment
from dac.training.state import GanState, init_state
from dac.training.step import make_train_step, sample_keys

torch = pytest.importorskip("torch", reason="PyTorch is missing: pip install -e '.[parity]'")
from tests.parity import torch_gans as port  # noqa: E402

BATCH = 8
STEP = 3  # steps before this one
SMALL = {
    "resolution": 8,
    "fmap_base": 24,
    "fmap_max": 8,
    "latent_size": 6,
    "batch_sizes": (BATCH,) * 3,
    "fade_kimg": (0.0, 0.16, 0.16),
    "stable_kimg": (0.16,) * 3,
    "ema_half_life_kimg": 0.02,
    # High, so that updates are far larger than the float32 rounding of the weights.
    "learning_rates": (0.05,) * 3,
}
CASES = {
    "progan": (progan_full, {"augment": "none", "condition_ramp_kimg": 0.5}),
    "wgan_gp": (wgan_gp, {"n_critic": 2}),
    "dcgan": (dcgan, {"resolution": 16}),  # the smallest at which the critic has batch norm
    "r3gan": (progan, {"resolution": 4, "loss": "rpgan_r1r2", "augment": "diffaugment"}),
}


@pytest.mark.parametrize("case", CASES)
def test_training_step_matches_pytorch(case):
    module, changes = CASES[case]
    config = module.get_config("demo")
    config.update(SMALL | changes)
    phase = phases(config)[-1]
    before = draw_state(config, phase.start + 7 * BATCH)  # inside ProGAN's fade-in
    batches = draw_batches(config, phase)
    theirs = TorchTraining(config, phase, before)
    their_metrics = theirs.step(batches)
    after, our_metrics = our_step(config, phase, before, batches)

    for name, value in their_metrics.items():
        port.assert_close(our_metrics[name], value)
    for player in ("generator", "critic"):
        network, adam = theirs.players[player], theirs.adams[player]
        parameters = dict(network.named_parameters())

        def change(name, values, network=network):
            """Returns our and their changes from the common start, and the comparison floor."""
            start, end = (port.to_torch(network, getattr(s, name)) for s in (before, after))
            return (
                {key: end[key] - start[key] for key in values},
                {key: values[key].detach() - start[key] for key in values},
                0.01,  # allows errors of 1e-6: float32 spacing is 2e-7 from 2 to 4
            )

        port.assert_all_close(*change(player, parameters))
        if player == "generator":
            port.assert_all_close(*change("generator_ema", theirs.ema))
        port.assert_all_close(
            port.to_torch(network, getattr(after, f"{player}_stats")),
            port.running_averages(network),
        )
        for kind, theirs_kind in (("mu", "exp_avg"), ("nu", "exp_avg_sq")):
            port.assert_all_close(
                port.to_torch(network, moments(getattr(after, f"{player}_optimizer"), kind)),
                {name: adam.state[p][theirs_kind] for name, p in parameters.items()},
            )


def draw_state(config, images_seen):
    """Draws a state from the middle of training, including Adam's moments.

    If the moments were 0, Adam would step by the learning rate times the gradient's sign. Then a
    gradient that is 0 except for rounding would move a weight by a full step in either direction.
    """
    shapes = jax.eval_shape(lambda: init_state(config, port.GENRES))
    scale = port.kernel_scale(config.gan)
    random = np.random.default_rng(3)

    def draw_moment(path, leaf):
        numbers = np.float32(0.1) * random.uniform(-1, 1, size=leaf.shape).astype(np.float32)
        size = np.float32(0.1) * random.uniform(0.7, 1.3, size=leaf.shape).astype(np.float32)
        return {"count": np.int32(STEP), "mu": numbers, "nu": size**2}[path[2].name]

    def draw(name, seed=0):
        if name.endswith("optimizer"):
            return jax.tree_util.tree_map_with_path(draw_moment, getattr(shapes, name))
        return port.draw_variables(getattr(shapes, name), scale, seed)

    return GanState(
        step=np.int32(STEP),
        images_seen=np.int32(images_seen),
        generator=draw("generator"),
        critic=draw("critic"),
        generator_ema=draw("generator_ema", seed=1),
        generator_stats=draw("generator_stats"),
        critic_stats=draw("critic_stats"),
        generator_optimizer=draw("generator_optimizer"),
        critic_optimizer=draw("critic_optimizer"),
    )


def draw_batches(config, phase):
    """Draws one batch per critic update, `[n_critic, B, ...]`."""
    shape = (phase.n_critic, BATCH)
    conditions = port.draw_conditions(config.conditions, phase.n_critic * BATCH)
    size = (*shape, phase.resolution, phase.resolution, 3)
    images = np.random.default_rng(4).integers(0, 256, size, np.uint8)
    return {"image": images} | {k: v.reshape(*shape, *v.shape[1:]) for k, v in conditions.items()}


def moments(optimizer, kind):
    return {name: getattr(module[0], kind) for name, module in optimizer.items()}


def our_step(config, phase, state, batches):
    mesh = parallel.make_mesh(jax.devices()[:1], (phase,))
    state = jax.device_put(state, parallel.replicated(mesh))
    batches = parallel.split(mesh, {name: values[None] for name, values in batches.items()})
    step = make_train_step(config, phase, config.augment == "diffaugment")
    step = parallel.compile_step(step, mesh, config.parallelism, state, batches)
    return jax.device_get(step(state, batches))


class TorchTraining:
    """A training step in PyTorch; only the random numbers come from `dac`."""

    def __init__(self, config, phase, state):
        self.config, self.phase, self.state = config, phase, state
        self.where = (phase.resolution, phase.alpha(int(state.images_seen)))
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
            variables = {
                "params": getattr(state, player),
                "batch_stats": getattr(state, f"{player}_stats"),
            }
            self.players[player] = port.load(network, variables)
            self.adams[player] = self.make_adam(network, getattr(state, f"{player}_optimizer"))
        self.ema = port.to_torch(self.players["generator"], state.generator_ema)

    def make_adam(self, network, optimizer):
        adam = torch.optim.Adam(
            network.parameters(),
            lr=self.phase.learning_rate,
            betas=(self.config.adam_b1, self.config.adam_b2),
            eps=self.config.adam_epsilon,
        )
        mu, nu = (port.to_torch(network, moments(optimizer, kind)) for kind in ("mu", "nu"))
        for name, parameter in network.named_parameters():
            adam.state[parameter] = {
                "step": torch.tensor(float(STEP)),
                "exp_avg": mu[name],
                "exp_avg_sq": nu[name],
            }
        return adam

    def step(self, batches):
        """Trains for one step; returns the metrics."""
        generator, critic = self.players["generator"], self.players["critic"]
        metrics = []
        for i in range(self.phase.n_critic):
            number = STEP * self.phase.n_critic + i
            batch = {name: values[i] for name, values in batches.items()}
            conditions = self.conditions(batch, "critic_conditions", number)
            # On a copy, because the running averages that this updates are discarded.
            fake = copy.deepcopy(generator)(
                self.latents("critic_latents", number), conditions, *self.where
            )
            loss, parts = port.critic_loss(
                self.config,
                lambda images, given=conditions: critic(images, given, *self.where),
                self.augment(self.real(batch), "critic_augment_real", number),
                self.augment(fake.detach(), "critic_augment_fake", number),
                port.tensor(jax.vmap(jax.random.uniform)(self.keys("mixing", number))),
            )
            critic.zero_grad()
            loss.backward()
            self.adams["critic"].step()
            metrics.append(parts)

        conditions = self.conditions(batch, "generator_conditions", STEP)
        fake = generator(self.latents("generator_latents", STEP), conditions, *self.where)
        fake = self.augment(fake, "generator_augment_fake", STEP)
        real = self.augment(self.real(batch), "generator_augment_real", STEP)
        judge = copy.deepcopy(critic)
        scores = [judge(images, conditions, *self.where) for images in (real, fake)]
        _, loss = port.score_losses(self.config.loss, *scores)
        generator.zero_grad()
        loss.backward()
        self.adams["generator"].step()

        images = self.phase.n_critic * BATCH
        decay = 0.5 ** (images / (1000 * self.config.ema_half_life_kimg))
        for name, parameter in generator.named_parameters():
            self.ema[name] = decay * self.ema[name] + (1 - decay) * parameter.detach()
        means = {name: sum(parts[name] for parts in metrics) / len(metrics) for name in metrics[0]}
        return means | {"generator_loss": loss}

    def keys(self, stream, number):
        def on_the_only_device(_):
            return sample_keys(self.config.seed, stream, number, BATCH)

        return jax.vmap(on_the_only_device, axis_name=parallel.DATA_AXIS)(jnp.zeros(1))[0]

    def latents(self, stream, number):
        return port.tensor(draw_latents(self.config, self.keys(stream, number)))

    def conditions(self, batch, stream, number):
        """Hides each field of some albums; the ramp follows Shahbazi et al. 2022."""
        conditions = port.tensors({name: x for name, x in batch.items() if name != "image"})
        fields, rate = self.config.conditions, self.config.condition_drop_rate
        keep = functools.partial(jax.random.bernoulli, p=1 - rate, shape=(len(fields),))
        kept = port.tensor(jax.vmap(keep)(self.keys(stream, number)))
        for i, field in enumerate(fields):
            conditions[f"{field}_known"] &= kept[:, i]
        if kimg := self.config.condition_ramp_kimg:
            weight = min(self.state.images_seen / (1000 * kimg), 1.0)
            conditions["weight"] = torch.full((BATCH,), weight, dtype=torch.float64)
        return conditions

    def real(self, batch):
        images = port.tensor(batch["image"]).double() / 127.5 - 1
        if not gan_of(self.config).grows:
            return images
        blurred = port.upsample(port.downsample(images))
        return torch.lerp(blurred, images, self.where[1])

    def augment(self, images, stream, number):
        """Moves pixels as our augmentation does, found by augmenting a picture of pixel indices."""
        if self.config.augment == "none":
            return images
        size = images.shape[2]
        places = jnp.arange(1.0, size**2 + 1).reshape(1, size, size, 1).repeat(BATCH, axis=0)
        sources = port.tensor(diff_augment(places, self.keys(stream, number))).long().flatten(2)
        pixels = torch.nn.functional.pad(images.flatten(2), (1, 0))  # index 0 means no source
        return pixels.gather(2, sources.expand(-1, 3, -1)).reshape(images.shape)
