"""What of a name is set in type, in which families, and how its script wants to be treated."""

import dataclasses
import itertools
import unicodedata

from dac.covers.typesetting.fonts import EMOJI, Face, families, has_glyphs

# Joiners, direction marks and variation selectors: invisible, but they shape or order their
# neighbours.
_INVISIBLE = frozenset("\u200c\u200d\u200e\u200f\u061c\ufe0e\ufe0f")
_JOINER = "\u200d"
_EMOJI_STYLE = "\ufe0f"
_REGIONAL_INDICATORS = range(0x1F1E6, 0x1F200)  # two of them are a flag
_SKIN_TONES = range(0x1F3FB, 0x1F400)
# Scripts by the first word of their characters' Unicode names.
_CASED = frozenset({"LATIN", "GREEK", "CYRILLIC", "ARMENIAN"})
_IDEOGRAPHIC = frozenset({"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL"})
_UNSPACED = frozenset({"THAI", "LAO", "KHMER", "MYANMAR"}) | _IDEOGRAPHIC - {"HANGUL"}
_LANGUAGES = {
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "HANGUL": "ko",
    "CJK": "zh",
    "ARABIC": "ar",
    "HEBREW": "he",
    "DEVANAGARI": "hi",
    "THAI": "th",
}
# A longer word may be broken between any two of its clusters.
_LONGEST_WORD = 24
_BREAK = "\u200b"

Cluster = tuple[str, str]  # a family, and characters that it shows as one


@dataclasses.dataclass(frozen=True)
class Name:
    """An artist's name or an album's title, ready to be set.

    Attributes:
      clusters: the text, a cluster of characters at a time, each with its family; never empty.
      rtl: whether the text runs from right to left.
      language: ISO 639 code; it selects the regional shapes of ideographs and the line breaks.
      cased: all letters belong to scripts with capitals, which may also be letterspaced.
      upright: all letters are ideographs, kana or hangul, which may stand in a column.
    """

    clusters: tuple[Cluster, ...]
    rtl: bool
    language: str
    cased: bool
    upright: bool

    @property
    def words(self) -> list[list[Cluster]]:
        """The runs of each part that no line may break; none of scripts without spaces."""
        groups = itertools.groupby(self.clusters, lambda cluster: cluster[1] in " " + _BREAK)
        words = [list(group) for space, group in groups if not space]
        return [
            runs(w) for w in words if not any(_script(c) in _UNSPACED for _, cs in w for c in cs)
        ]


def name_of(text: str | None, face: Face) -> Name | None:
    """Prepares a text for typesetting.

    White space becomes single spaces and the text is composed (NFC). What no font can show is left
    out: controls, unassigned and private code points, characters without a glyph, and combining
    marks that no family has together with their base.

    Returns:
      None if nothing is left to be set.
    """
    text = unicodedata.normalize("NFC", " ".join((text or "").split()))
    scripts = [_script(c) for c in text if unicodedata.category(c)[0] == "L"]
    cased = all(s in _CASED for s in scripts)
    languages = [_LANGUAGES[s] for s in scripts if s in _LANGUAGES]
    # Kana tells Japanese from Chinese, wherever it stands.
    language = "ja" if "ja" in languages else next(iter(languages), "en")
    if face.capitals and cased and "GREEK" not in scripts:  # Greek capitals lose their accents
        text = text.upper()

    clusters: list[Cluster] = []
    for cluster in _clusters_of(text):
        family = _family_of(cluster, clusters[-1][0] if clusters else "", face, language)
        while family is None and len(cluster) > 1:  # without its last mark, then
            cluster = cluster[:-1]
            family = _family_of(cluster, "", face, language)
        doubled = cluster == " " and (not clusters or clusters[-1][1] == " ")
        if family is not None and not doubled:
            clusters.append((family, cluster))
    if clusters and clusters[-1][1] == " ":
        clusters.pop()
    if not clusters:
        return None
    directions = (unicodedata.bidirectional(c) for _, cluster in clusters for c in cluster)
    return Name(
        clusters=tuple(_breakable(clusters)),
        rtl=next((d for d in directions if d in ("L", "R", "AL")), "L") != "L",
        language=language,
        cased=cased,
        upright=bool(scripts)
        and all(_script(c[0]) in _IDEOGRAPHIC for _, c in clusters if c[0].isalnum()),
    )


def runs(clusters: list[Cluster] | tuple[Cluster, ...]) -> list[Cluster]:
    """Joins neighbours of one family."""
    groups = itertools.groupby(clusters, lambda cluster: cluster[0])
    return [(family, "".join(c for _, c in group)) for family, group in groups]


def _clusters_of(text: str) -> list[str]:
    """Splits a text into base characters with the marks, joiners and tones that belong to them."""
    clusters: list[str] = []
    for char in text:
        category = unicodedata.category(char)
        if category[0] == "C" and char not in _INVISIBLE:
            continue
        before = clusters[-1] if clusters else " "
        attached = before != " " and (
            category[0] == "M"
            or char in _INVISIBLE
            or before[-1] == _JOINER
            or ord(char) in _SKIN_TONES
            or (
                ord(char) in _REGIONAL_INDICATORS
                and len(before) == 1
                and ord(before) in _REGIONAL_INDICATORS
            )
        )
        if attached:
            clusters[-1] += char
        elif category[0] != "M" and char not in _INVISIBLE:
            clusters.append(char)
    return clusters


def _family_of(cluster: str, before: str, face: Face, language: str) -> str | None:
    """Returns the first family that has all glyphs of a cluster.

    Spaces and punctuation stay in the family of what stands before them, if it has them.
    """
    points = [ord(c) for c in cluster if c not in _INVISIBLE]
    asked = families(face, language)
    if _EMOJI_STYLE in cluster:
        asked = [EMOJI, *asked]
    elif before and before != EMOJI and unicodedata.category(cluster[0])[0] in "PZ":
        asked = [before, *asked]
    return next((family for family in asked if has_glyphs(family, points)), None)


def _breakable(clusters: list[Cluster]) -> list[Cluster]:
    """Lets very long words break between their clusters, by zero width spaces."""
    result: list[Cluster] = []
    for space, group in itertools.groupby(clusters, lambda cluster: cluster[1] == " "):
        word = list(group)
        if not space and len(word) > _LONGEST_WORD:
            # Thai and ideographs have their own rules, and typesetting knows them.
            for i, (family, cluster) in enumerate(word):
                if i and _script(cluster[0]) not in _UNSPACED:
                    result.append((family, _BREAK))
                result.append((family, cluster))
        else:
            result += word
    return result


def _script(char: str) -> str:
    return unicodedata.name(char, "").split(" ")[0]
