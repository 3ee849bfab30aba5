"""The layouts of each genre: how it is drawn, whatever its palette."""

import functools
import random
from collections.abc import Callable

from data_pipeline.demo_covers import backdrops, layouts, motifs, scenes
from data_pipeline.demo_covers.canvas import Canvas
from data_pipeline.demo_covers.discography import Album
from data_pipeline.demo_covers.layouts import Manner
from data_pipeline.demo_covers.palettes import Palette

Layout = Callable[[Canvas, Palette, random.Random, Album | None], None]


def _layouts(
    manner: Manner, *compositions: layouts.Composition, scene: Layout | None = None
) -> tuple[Layout, ...]:
    composed = [functools.partial(layouts.lay_out, how, manner) for how in compositions]
    return (*composed, scene) if scene else tuple(composed)


LAYOUTS: dict[str, tuple[Layout, ...]] = {
    "ambient": _layouts(
        Manner(
            (motifs.moon, motifs.mountain, motifs.drop, motifs.bird),
            backdrops.haze,
            case=str.lower,
            weight=0,
            spacing=0.2,
            tilt=0,
        ),
        layouts.emblem,
        layouts.horizon,
        layouts.echo,
        scene=scenes.ambient,
    ),
    "blues": _layouts(
        Manner(
            (motifs.electric_guitar, motifs.bottle, motifs.hat, motifs.moon),
            backdrops.night,
            weight=0.5,
        ),
        layouts.emblem,
        layouts.split,
        layouts.echo,
        layouts.frame,
    ),
    "bossa nova": _layouts(
        Manner(
            (motifs.palm, motifs.sun, motifs.guitar, motifs.bird),
            backdrops.pavement,
            case=str.lower,
        ),
        layouts.emblem,
        layouts.bands,
        layouts.ranks,
        layouts.split,
        scene=scenes.bossa_nova,
    ),
    "classical": _layouts(
        Manner(
            (motifs.violin, motifs.piano, motifs.lyre, motifs.laurel),
            backdrops.paper,
            case=str,
            weight=0.3,
            tilt=0.05,
        ),
        layouts.frame,
        layouts.emblem,
        layouts.ranks,
        layouts.split,
    ),
    "country": _layouts(
        Manner(
            (motifs.cactus, motifs.boot, motifs.horseshoe, motifs.wheel),
            backdrops.desert,
            case=str,
            weight=0.8,
        ),
        layouts.emblem,
        layouts.horizon,
        layouts.echo,
        layouts.frame,
    ),
    "disco": _layouts(
        Manner(
            (motifs.mirror_ball, motifs.star, motifs.shoe, motifs.lips),
            backdrops.rays,
            case=str,
            slant=0.2,
            weight=0.8,
        ),
        layouts.emblem,
        layouts.rings,
        layouts.scatter,
        layouts.echo,
    ),
    "dub": _layouts(
        Manner((motifs.speaker, motifs.record, motifs.leaf, motifs.star), backdrops.stripes),
        layouts.emblem,
        layouts.ranks,
        layouts.rings,
        layouts.echo,
        scene=scenes.dub,
    ),
    "folk": _layouts(
        Manner(
            (motifs.tree, motifs.house, motifs.sprig, motifs.guitar),
            backdrops.paper,
            case=str,
            weight=0.5,
        ),
        layouts.frame,
        layouts.horizon,
        layouts.scatter,
        layouts.emblem,
        scene=scenes.folk,
    ),
    "free jazz": _layouts(
        Manner(
            (motifs.saxophone, motifs.trumpet, motifs.cutout, motifs.piano),
            backdrops.blocks,
            case=str.lower,
            tilt=0.4,
        ),
        layouts.emblem,
        layouts.split,
        layouts.bands,
        layouts.scatter,
        scene=scenes.free_jazz,
    ),
    "hip hop": _layouts(
        Manner(
            (motifs.boombox, motifs.cassette, motifs.crown, motifs.microphone),
            backdrops.bricks,
            weight=0.9,
        ),
        layouts.emblem,
        layouts.ranks,
        layouts.echo,
        layouts.split,
    ),
    "psychedelic rock": _layouts(
        Manner(
            (motifs.eye, motifs.mushroom, motifs.flower, motifs.butterfly),
            backdrops.ripples,
            case=str,
            slant=-0.2,
            weight=0.8,
            tilt=0.3,
        ),
        layouts.emblem,
        layouts.scatter,
        layouts.rings,
        layouts.split,
    ),
    "punk": _layouts(
        Manner(
            (motifs.safety_pin, motifs.bomb, motifs.mohawk, motifs.lightning),
            backdrops.torn,
            tilt=0.5,
        ),
        layouts.emblem,
        layouts.split,
        layouts.ranks,
        layouts.scatter,
        scene=scenes.punk,
    ),
    "soul": _layouts(
        Manner(
            (motifs.heart, motifs.rose, motifs.hand, motifs.microphone),
            backdrops.paper,
            case=str,
            slant=0.15,
        ),
        layouts.emblem,
        layouts.rings,
        layouts.bands,
        layouts.echo,
        layouts.ranks,
    ),
    "synthwave": _layouts(
        Manner(
            (motifs.sunset, motifs.triangle, motifs.car, motifs.palm),
            backdrops.neon_floor,
            slant=0.3,
            tilt=0,
        ),
        layouts.emblem,
        layouts.horizon,
        layouts.echo,
        scene=scenes.synthwave,
    ),
    "techno": _layouts(
        Manner(
            (motifs.smiley, motifs.cube, motifs.equalizer, motifs.target),
            backdrops.lattice,
            case=str.lower,
            tilt=0,
        ),
        layouts.emblem,
        layouts.ranks,
        layouts.split,
        layouts.echo,
    ),
    "thrash metal": _layouts(
        Manner(
            (motifs.skull, motifs.sword, motifs.pentagram, motifs.lightning),
            backdrops.flames,
            weight=1,
        ),
        layouts.emblem,
        layouts.echo,
        layouts.ranks,
        layouts.frame,
        scene=scenes.thrash_metal,
    ),
}
