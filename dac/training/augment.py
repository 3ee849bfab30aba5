"""DiffAugment (Zhao et al. 2020, arXiv 2006.10738): translation and cutout, for few covers.

The critic sees all pictures augmented, real and generated ones, so it can't memorise a small
dataset. The third part of the policy, colour, would change what a cover means and is left out. The
ratios are those of the official code, DiffAugment_pytorch.py. Shifts are rounded down here: rounded
to the nearest, they would be a quarter of the side at 4x4.
"""

import jax
import jax.numpy as jnp

TRANSLATION_RATIO = 1 / 8  # of the side, either way
CUTOUT_RATIO = 1 / 2  # of the side
# Above this it no longer helps: FFHQ gains with 10,000 pictures and loses with 70,000 (table 4).
FEW_COVERS = 30_000


def uses_diff_augment(augment: str, covers: int) -> bool:
    """Whether a run on so many covers is augmented; `augment` is the config's value."""
    return augment == "diffaugment" or (augment == "auto" and covers < FEW_COVERS)


def diff_augment(images: jax.Array, keys: jax.Array) -> jax.Array:
    """Shifts each picture and blanks a square of it.

    Args:
      images: `[B, R, R, C]` in [-1, 1].
      keys: one random key per picture, `[B]`.

    Returns:
      `[B, R, R, C]`; the square, and the border that a shift uncovers, are 0, the middle grey.
    """
    size = images.shape[1]
    reach = int(size * TRANSLATION_RATIO)
    # As in the official code, a square of even side may lie half outside at both ends.
    centres = size + 1 - int(size * CUTOUT_RATIO + 0.5) % 2

    def draw(key):
        shift_key, centre_key = jax.random.split(key)
        return (
            jax.random.randint(shift_key, (2,), -reach, reach + 1),
            jax.random.randint(centre_key, (2,), 0, centres),
        )

    shifts, centres = jax.vmap(draw)(keys)
    return cut_out(translate(images, shifts), centres)


def translate(images: jax.Array, shifts: jax.Array) -> jax.Array:
    """Shifts pictures `[B, R, R, C]` down and right by `[B, 2]` int32 pixels, filling with 0."""
    size = images.shape[1]
    reach = int(size * TRANSLATION_RATIO)
    padded = jnp.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)))

    def crop(image, shift):
        start = (reach - shift[0], reach - shift[1], 0)
        return jax.lax.dynamic_slice(image, start, (size, size, image.shape[2]))

    return jax.vmap(crop)(padded, shifts)


def cut_out(images: jax.Array, centres: jax.Array) -> jax.Array:
    """Sets a square around `[B, 2]` int32 (row, column) to 0 in pictures `[B, R, R, C]`."""
    size = images.shape[1]
    side = int(size * CUTOUT_RATIO + 0.5)
    offsets = jnp.arange(size)[None, :, None] - (centres[:, None, :] - side // 2)  # [B, R, 2]
    inside = (offsets >= 0) & (offsets < side)
    square = inside[:, :, None, 0] & inside[:, None, :, 1]  # [B, R, R]
    return jnp.where(square[..., None], 0.0, images)
