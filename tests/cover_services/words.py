"""The words that artists, titles and genres are made of, hard ones for text handling included."""

import itertools

# A name takes its words from one line. Some lines combine accents, join emoji or look like markup.
SCRIPTS = (
    "Midnight River Static Garden Glass Velvet Northern Ghost Paper Engine Slow Motion",
    "Éclipse Über Señorita Żółty Čaj Smörgås İstanbul Đường Ísland Œuvre straße naïve",
    "Ночь Ёлка Группа Зима Кровь Поезд Щука Їжак Голос",
    "Νύχτα Θάλασσα Ωκεανός Φως Ψυχή",
    "ليلة مدينة صوت البحر قمر ذاكرة حُبّ",
    "לילה ירושלים שיר הים אור שָׁלוֹם",
    "夜 東京 静かな 海辺 機械 さくら カセット 龍門 雨天",
    "밤 서울 바다 노래 겨울 유령",
    "रात नदी संगीत दिल्ली ज़िन्दगी",
    "กลางคืน แม่น้ำ เพลง ฝน",
    "🌊 👩‍🎤 🏴‍☠️ 🎷 ❤️‍🔥 𝕬𝖑𝖇𝖚𝖒",
    "e\u0301te\u0301 Z\u0338a\u031bl\u0362g\u0300o q\u0303 n\u0308u\u0308 A\u030angstro\u0308m",
    "AC/DC \"Heroes\" Rock'n'Roll ...And C:\\ <b>bold</b> &amp; %20 #1 NULL ../up 50% ;-)",
)
COUNTRIES = ("GB", "US", "JP", "JM", "XW")
TYPES = ((), (), (), ("Live",), ("Compilation",), ("Compilation", "Live"), ("Soundtrack",))
JOINS = (" & ", " feat. ", ", ", " / ", " и ")

# The unusual names come early, so that small catalogues have them, too.
_GENRES = """rock, 8-bit, jazz, re:techno, drum and bass, r&b, "quoted", näutik, dub, thrash
metal, metal, punk, samba, zydeco, drone, house, chicago house, folk, ambient, 21st century
classical, k-pop, j-pop, hip hop, bossa nova, musique concrète, chanson française, canción, rock
& roll, rock/pop, c64, 432hz, post-rock, trip hop, soul, funk, disco, ska, reggae, krautrock,
gospel"""
_PREFIXES = """acid art avant baroque black celtic chamber cosmic cyber dark death deep desert
digital doom dream electro epic ethereal experimental free future ghetto glitch gothic hard heavy
hyper indie industrial italo jungle latin lo-fi melodic minimal neo noise nordic nu orchestral
pagan post power progressive proto psychedelic raw retro sea slow southern space speed surf swamp
symphonic tech tribal urban vocal witch"""
_STYLES = """ambient ballad bass beat blues boogie bop breakbeat choir core cumbia dance disco
drone dub electronica fado folk funk fusion garage gospel groove grunge gaze hardcore house jazz
jungle lounge mambo march mass metal opera polka pop psych punk raga rap reggae rock rumba samba
shanty ska skiffle soul step swing synth tango techno trance twist wave waltz zouk"""


def genre_names(count: int) -> tuple[str, ...]:
    """Returns the first `count` genres: the list above, then combinations, then numbered ones."""
    listed = " ".join(_GENRES.split()).split(", ")
    combined = (f"{first} {last}" for first in _PREFIXES.split() for last in _STYLES.split())
    numbered = (f"genre {i}" for i in itertools.count())
    return tuple(itertools.islice(itertools.chain(listed, combined, numbered), count))
