"""The fictional albums of the demo covers: artist, title, year and genres.

An album is a pure function of its index and a seed, and independent of how its cover is drawn.
"""

import dataclasses
import random

FIRST_YEAR, LAST_YEAR = 1950, 2025
# Fraction of albums with a second genre.
BLEND_RATE = 0.07


@dataclasses.dataclass(frozen=True)
class Album:
    """The metadata of an album. Its first genre determines the layout of the cover."""

    album_id: str
    genres: tuple[str, ...]
    release_year: int
    artist: str
    title: str


@dataclasses.dataclass(frozen=True)
class _Scene:
    """Patterns and words for the names of a genre's artists and albums."""

    artist: str
    artist_words: tuple[str, str]
    title: str
    title_words: tuple[str, str]


# Only accents in `canvas.MARKS` can be drawn.
_SCENES = {
    "ambient": _Scene(
        "{} {}",
        (
            "Sól Nór Åse Lumi Halden Íra Vána Mirë Oslo Elara",
            "Field Drift Hâze Tide Isle Vale Lune",
        ),
        "{} {}",
        ("Slow Pale Still Far Soft Low Thin Last", "Water Light Snow Harbour Air Horizon Hours"),
    ),
    "blues": _Scene(
        "{} {}",
        (
            "Blind Lonesome Slim Big Howling Memphis Ragtime Sleepy",
            "Eddie Lou Hollis Wash Odell Jéssie Crow",
        ),
        "{} {}",
        (
            "Midnight Crossroad Lowdown Empty River Whiskey",
            "Train,Blues,Bottle,at Dawn,Moan,Highway",
        ),
    ),
    "bossa nova": _Scene(
        "{} {}",
        (
            "João Luíza Caetana Zélia Téo Inês Nara Otávio Célia Raúl",
            "Mar Verão Limão Jobá Sol Lua",
        ),
        "{} {}",
        (
            "Tarde Samba Noite Manhã Praia Chorinho",
            "de Verão,azul,no Leblon,em Flor,do Mar,sem Fim",
        ),
    ),
    "classical": _Scene(
        "{} {}",
        (
            "Anton Clára Ludwig Amélie Jürgen Fanny Henrik Élise Otto",
            "Weiss Lindqvist Moreau Hölzer Varga Brahn",
        ),
        "{} {}",
        (
            "Sonata Nocturnes Requiem Études Serenade Suite Quartet",
            "in D,for Strings,op. 9,in F minor,no. 4,in Blue",
        ),
    ),
    "country": _Scene(
        "{} {}",
        (
            "Dusty Loretta Hank Clyde Dolly Wade Patsy Buck Jolene",
            "Rivers Boone Wheeler Tuck Mae Dalton",
        ),
        "{} {}",
        (
            "Lonesome Dusty Broken Prairie Honky Wild",
            "Trail,Heart,Rodeo,Horses,Road Home,Tonk Moon",
        ),
    ),
    "disco": _Scene(
        "{} {}",
        (
            "Glória Velvet Studio Salsoul Fever Chérie Donna Platinum",
            "Express Sisters 54 Fantasy Machine Love",
        ),
        "{} {}",
        (
            "Saturday Boogie Mirror Dance Shake Never",
            "Fever,All Night,Inferno,Ball,Can Stop,the Groove",
        ),
    ),
    "dub": _Scene(
        "{} {}",
        (
            "King Prince Jah Scientist Mad Ras Doctor Sister",
            "Echo Delay Roots Spring Tubbs Zion Bass",
        ),
        "{} {}",
        (
            "Heavy Lion Version Steppers Echo Wicked",
            "Chamber,in Dub,Pressure,Station,Uprising,Rockers",
        ),
    ),
    "folk": _Scene(
        "{} {}",
        (
            "Wren Ansel Maeve Róisín Tam Edda Silas Brónagh Ída Rowan",
            "Ash Hollow Burn Marsh Fenn Órla",
        ),
        "{} {}",
        ("The Old Winter Harvest Orchard Home River", "Road Ballads Hill Songs Gate Mile"),
    ),
    "free jazz": _Scene(
        "{} {}",
        ("Ornell Cecil Thelma Albért Sonny René Archie Mingo", "Kole Rîver Shaw Dolph Cruz Ayle"),
        "{} {}",
        ("Free Blue Spirit Shape Open Out", "Forms,to Come,Ascent,Unit,Question,of Sound"),
    ),
    "hip hop": _Scene(
        "{} {}",
        (
            "MC DJ Big Lil Kool Grand Lady Dr.",
            "Cipher Bronx Flow Rocka Brìck Tempo Rhyme",
        ),
        "{} {}",
        (
            "Street Block Golden Raw Rhyme Concrete",
            "Science,Party,Chronicles,Crown,Tapes,by Nature",
        ),
    ),
    "psychedelic rock": _Scene(
        "The {} {}",
        (
            "Electric Purple Cosmic Strawberry Velvet Infinïte Third",
            "Mushroom Eye Carnival Garden Prophets Moth",
        ),
        "{} {}",
        (
            "Kaleidoscope Lucid Mellow Tangerine Inner Magic",
            "Trip,Meadow,of the Mind,Butterfly,Sunrise,Machine",
        ),
    ),
    "punk": _Scene(
        "The {} {}",
        ("Dead Kid Bad Rat Nö Spit Cheap", "Boys Fits Ticks Rats Riots Züri Shots"),
        "{} {}",
        ("No Kill Burn Eat Hate Total", "Future Radio Manners Monday Rent Noise"),
    ),
    "soul": _Scene(
        "{} {}",
        (
            "Otis Aretta Marvin Sâdie Curtis Gladys Éttie Percy",
            "James Redd Sweet Mayfair Holloway Gale",
        ),
        "{} {}",
        (
            "Sweet Deep Tender Burning True Hold",
            "Love,Devotion,on Me,Tears,Hands,Roses",
        ),
    ),
    "synthwave": _Scene(
        "{} {}",
        ("Neon Laser Turbo Nova Mïdnight Cobra Chrome Hyper", "Rider Drive 84 Vice Grid Nights"),
        "{} {}",
        ("Night Electric Sunset Outrun Miami Digital", "Drive Dreams Heat City Horizon Love"),
    ),
    "techno": _Scene(
        "{} {}",
        (
            "Modul Phase Kraft Röntgen Acid Zero Sub Vektor",
            "303 Eins System Labor Null 909 Form",
        ),
        "{} {}",
        (
            "Signal Warehouse Loop Static Minimal Pulse",
            "Error,EP 2,Berlin,State,120 bpm,Theory",
        ),
    ),
    "thrash metal": _Scene(
        "{}{}",
        ("Blöd Iron Hell Grave Väder Skull Röt Dread Vömit", "axe wrath hämmer fang storm tör"),
        "{} {}",
        ("Kill Rust Eternal Burn Bleed Reign", "the Pit,in Blood,Hatred,by Fire,Abyss,the Weak"),
    ),
}

GENRES = tuple(sorted(_SCENES))


def album_of(index: int, seed: int = 0) -> Album:
    """Returns album number `index` of the discography with this seed; deterministic."""
    rng = random.Random(f"album {seed} {index}")
    genres = rng.sample(GENRES, 2 if rng.random() < BLEND_RATE else 1)
    sound, words = _SCENES[genres[0]], _SCENES[genres[-1]]
    return Album(
        album_id=f"demo-{index:05d}",
        genres=tuple(genres),
        # Independent of the genre, so that the genre does not give away the year.
        release_year=rng.randint(FIRST_YEAR, LAST_YEAR),
        artist=_name(sound.artist, sound.artist_words, rng),
        title=_name(words.title, words.title_words, rng),
    )


def _name(pattern: str, words: tuple[str, str], rng: random.Random) -> str:
    """Fills a pattern with one word from each list; lists of phrases are comma-separated."""
    choices = [w.split("," if "," in w else None) for w in words]
    return pattern.format(*(rng.choice(c) for c in choices))
