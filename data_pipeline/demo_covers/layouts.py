"""The layouts of each genre: compositions of its motifs, and maybe a scene."""

import functools
import random
from collections.abc import Callable

from data_pipeline.demo_covers import backdrops, compositions, scenes
from data_pipeline.demo_covers.canvas import Canvas
from data_pipeline.demo_covers.compositions import Composition, Manner
from data_pipeline.demo_covers.discography import Album
from data_pipeline.demo_covers.motifs import music, nature, signs, things
from data_pipeline.demo_covers.palettes import Palette

Layout = Callable[[Canvas, Palette, random.Random, Album | None], None]


def _layouts(
    manner: Manner, *chosen: Composition, scene: Layout | None = None
) -> tuple[Layout, ...]:
    composed = [functools.partial(compositions.lay_out, how, manner) for how in chosen]
    return (*composed, scene) if scene else tuple(composed)


LAYOUTS: dict[str, tuple[Layout, ...]] = {
    "ambient": _layouts(
        Manner(
            (nature.moon, nature.mountain, nature.drop, nature.bird),
            backdrops.haze,
            case=str.lower,
            weight=0,
            spacing=0.2,
            tilt=0,
        ),
        compositions.emblem,
        compositions.horizon,
        compositions.echo,
        scene=scenes.ambient,
    ),
    "blues": _layouts(
        Manner(
            (music.electric_guitar, things.bottle, things.hat, nature.moon),
            backdrops.night,
            weight=0.5,
        ),
        compositions.emblem,
        compositions.split,
        compositions.echo,
        compositions.frame,
    ),
    "bossa nova": _layouts(
        Manner(
            (nature.palm, nature.sun, music.guitar, nature.bird),
            backdrops.pavement,
            case=str.lower,
        ),
        compositions.emblem,
        compositions.bands,
        compositions.ranks,
        compositions.split,
        scene=scenes.bossa_nova,
    ),
    "classical": _layouts(
        Manner(
            (music.violin, music.piano, music.lyre, nature.laurel),
            backdrops.paper,
            case=str,
            weight=0.3,
            tilt=0.05,
        ),
        compositions.frame,
        compositions.emblem,
        compositions.ranks,
        compositions.split,
    ),
    "country": _layouts(
        Manner(
            (nature.cactus, things.boot, things.horseshoe, things.wheel),
            backdrops.desert,
            case=str,
            weight=0.8,
        ),
        compositions.emblem,
        compositions.horizon,
        compositions.echo,
        compositions.frame,
    ),
    "disco": _layouts(
        Manner(
            (things.mirror_ball, signs.star, things.shoe, signs.lips),
            backdrops.rays,
            case=str,
            slant=0.2,
            weight=0.8,
        ),
        compositions.emblem,
        compositions.rings,
        compositions.scatter,
        compositions.echo,
    ),
    "dub": _layouts(
        Manner((music.speaker, music.record, nature.leaf, signs.star), backdrops.stripes),
        compositions.emblem,
        compositions.ranks,
        compositions.rings,
        compositions.echo,
        scene=scenes.dub,
    ),
    "folk": _layouts(
        Manner(
            (nature.tree, things.house, nature.sprig, music.guitar),
            backdrops.paper,
            case=str,
            weight=0.5,
        ),
        compositions.frame,
        compositions.horizon,
        compositions.scatter,
        compositions.emblem,
        scene=scenes.folk,
    ),
    "free jazz": _layouts(
        Manner(
            (music.saxophone, music.trumpet, signs.cutout, music.piano),
            backdrops.blocks,
            case=str.lower,
            tilt=0.4,
        ),
        compositions.emblem,
        compositions.split,
        compositions.bands,
        compositions.scatter,
        scene=scenes.free_jazz,
    ),
    "hip hop": _layouts(
        Manner(
            (music.boombox, music.cassette, things.crown, music.microphone),
            backdrops.bricks,
            weight=0.9,
        ),
        compositions.emblem,
        compositions.ranks,
        compositions.echo,
        compositions.split,
    ),
    "psychedelic rock": _layouts(
        Manner(
            (signs.eye, nature.mushroom, nature.flower, nature.butterfly),
            backdrops.ripples,
            case=str,
            slant=-0.2,
            weight=0.8,
            tilt=0.3,
        ),
        compositions.emblem,
        compositions.scatter,
        compositions.rings,
        compositions.split,
    ),
    "punk": _layouts(
        Manner(
            (things.safety_pin, things.bomb, signs.mohawk, nature.lightning),
            backdrops.torn,
            tilt=0.5,
        ),
        compositions.emblem,
        compositions.split,
        compositions.ranks,
        compositions.scatter,
        scene=scenes.punk,
    ),
    "soul": _layouts(
        Manner(
            (signs.heart, nature.rose, signs.hand, music.microphone),
            backdrops.paper,
            case=str,
            slant=0.15,
        ),
        compositions.emblem,
        compositions.rings,
        compositions.bands,
        compositions.echo,
        compositions.ranks,
    ),
    "synthwave": _layouts(
        Manner(
            (nature.sunset, signs.triangle, things.car, nature.palm),
            backdrops.neon_floor,
            slant=0.3,
            tilt=0,
        ),
        compositions.emblem,
        compositions.horizon,
        compositions.echo,
        scene=scenes.synthwave,
    ),
    "techno": _layouts(
        Manner(
            (signs.smiley, signs.cube, music.equalizer, signs.target),
            backdrops.lattice,
            case=str.lower,
            tilt=0,
        ),
        compositions.emblem,
        compositions.ranks,
        compositions.split,
        compositions.echo,
    ),
    "thrash metal": _layouts(
        Manner(
            (signs.skull, things.sword, signs.pentagram, nature.lightning),
            backdrops.flames,
            weight=1,
        ),
        compositions.emblem,
        compositions.echo,
        compositions.ranks,
        compositions.frame,
        scene=scenes.thrash_metal,
    ),
}
