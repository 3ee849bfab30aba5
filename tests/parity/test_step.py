"""A whole training step of each GAN, against the loop that one would write in PyTorch."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import dcgan, progan, progan_full, wgan_gp
from dac.run.players import draw_latents
from dac.run.schedule import phases
from dac.training import parallel
from dac.training.augment import diff_augment
from dac.training.state import GanState, init_state
from dac.training.step import make_train_step, sample_keys

torch = pytest.importorskip("torch", reason="PyTorch is missing: pip install -e '.[parity]'")
from tests.parity import torch_gans as port  # noqa: E402
from tests.parity.torch_step import TorchTraining, moments  # noqa: E402

BATCH = 8
STEP = 3  # those before
SMALL = {
    "resolution": 8,
    "fmap_base": 24,
    "fmap_max": 8,
    "latent_size": 6,
    "batch_sizes": (BATCH,) * 3,
    "fade_kimg": (0.0, 0.16, 0.16),
    "stable_kimg": (0.16,) * 3,
    "ema_half_life_kimg": 0.02,
    # High, so that updates are far above the rounding of the float32 numbers that they change.
    "learning_rates": (0.05,) * 3,
}
CASES = {
    "progan": (progan_full, {"loss": "wgan_gp", "class_loss_weight": 0.3}),
    "wgan_gp": (wgan_gp, {"n_critic": 2, "class_loss_weight": 0.3, "learning_rate_end": 0.2}),
    "dcgan": (dcgan, {"resolution": 16}),  # from which on its critic has batch norm
    "r3gan": (
        progan,
        {
            **{"resolution": 4, "loss": "rpgan_r1r2", "r1_r2_gamma_end": 0.1},
            **{"augment": "diffaugment", "augment_resolution": 4},
        },
    ),
}


@pytest.mark.parametrize(
    ("case", "fused"), [*((case, False) for case in CASES), ("progan", True), ("wgan_gp", True)]
)
def test_a_step_of_both_players(case, fused):
    module, changes = CASES[case]
    config = module.get_config("demo")
    config.update(SMALL | changes)
    phase = phases(config)[-1]
    before = draw_state(config, phase.start + 7 * BATCH)  # amid ProGAN's fade-in
    batches = draw_batches(config, phase)
    augment = config.augment == "diffaugment"
    theirs = WithOurNumbers(config, phase, before, augment=augment, fused=fused)
    their_metrics = theirs.step(theirs.put(batches))
    after, our_metrics = our_step(config, phase, before, batches)

    for name, value in their_metrics.items():
        port.assert_close(our_metrics[name], value)
    for player in ("generator", "critic"):
        network, adam = theirs.players[player], theirs.adams[player]
        parameters = dict(network.named_parameters())

        def change(name, values, network=network):
            """How far ours and theirs have come from where both began."""
            start, end = (port.to_torch(network, getattr(s, name)) for s in (before, after))
            return (
                {key: end[key] - start[key] for key in values},
                {key: values[key].detach() - start[key] for key in values},
                0.01,  # so that 1e-6 is let pass: float32 has steps of 2e-7 from 2 to 4
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
    """Draws the state in the middle of a training, Adam's moments too.

    Were they 0, Adam would step by the gradient's sign times the learning rate: a gradient that is
    0 but for rounding would move a weight as far as any other, and either way.
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
    """One for each update of the critic, `[n_critic, B, ...]`."""
    shape = (phase.n_critic, BATCH)
    conditions = port.draw_conditions(config.conditions, phase.n_critic * BATCH)
    size = (*shape, phase.resolution, phase.resolution, 3)
    images = np.random.default_rng(4).integers(0, 256, size, np.uint8)
    return {"image": images} | {k: v.reshape(*shape, *v.shape[1:]) for k, v in conditions.items()}


def our_step(config, phase, state, batches):
    mesh = parallel.make_mesh(jax.devices()[:1], (phase,))
    state = jax.device_put(state, parallel.replicated(mesh))
    batches = parallel.split(mesh, {name: values[None] for name, values in batches.items()})
    step = make_train_step(config, phase, config.augment == "diffaugment")
    step, _ = parallel.compile_step(step, mesh, config.parallelism, state, batches)
    return jax.device_get(step(state, batches))


class WithOurNumbers(TorchTraining):
    """Random numbers are ours."""

    def keys(self, stream, number):
        def on_the_only_device(_):
            return sample_keys(self.config.seed, stream, number, BATCH)

        return jax.vmap(on_the_only_device, axis_name=parallel.DATA_AXIS)(jnp.zeros(1))[0]

    def latents(self, stream, number):
        return port.tensor(draw_latents(self.config, self.keys(stream, number)))

    def mixing(self, stream, number):
        return port.tensor(jax.vmap(jax.random.uniform)(self.keys(stream, number)))

    def kept(self, stream, number):
        fields, rate = self.config.conditions, self.config.condition_drop_rate
        keep = functools.partial(jax.random.bernoulli, p=1 - rate, shape=(len(fields),))
        return port.tensor(jax.vmap(keep)(self.keys(stream, number)))

    def augment(self, images, stream, number):
        """Takes each pixel from where our augmentation does, which a picture of places tells."""
        if not self.augmented:
            return images
        size = images.shape[2]
        places = jnp.arange(1.0, size**2 + 1).reshape(1, size, size, 1).repeat(BATCH, axis=0)
        sources = port.tensor(diff_augment(places, self.keys(stream, number))).long().flatten(2)
        pixels = torch.nn.functional.pad(images.flatten(2), (1, 0))  # place 0 is none
        return pixels.gather(2, sources.expand(-1, 3, -1)).reshape(images.shape)
