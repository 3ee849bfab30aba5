import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter


@pytest.fixture(scope="session")
def rough() -> np.ndarray:
    """A picture like a small GAN's: soft, noisy shapes in few colours; [64, 64, 3] uint8."""
    picture = Image.new("RGB", (64, 64), (240, 230, 205))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 40, 64, 64), fill=(40, 80, 120))
    draw.ellipse((8, 8, 34, 34), fill=(205, 60, 45))
    draw.rectangle((42, 6, 54, 50), fill=(35, 30, 40))
    soft = np.asarray(picture.filter(ImageFilter.GaussianBlur(0.7))).astype(float)
    noise = np.random.default_rng(0).normal(0, 8, soft.shape)
    return np.clip(soft + noise, 0, 255).astype(np.uint8)
