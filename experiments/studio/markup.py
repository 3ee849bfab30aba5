"""The page's own HTML. All text from outside is escaped here."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from dac.covers.finishing import FINISHES
from dac.covers.typesetting import LAYOUTS
from dac.making.settings import Settings
from dac.sampling import Run
from experiments.studio.wall import NO_TYPE, Wall

# A click on a button, and the arrow keys between buttons. A button's value goes to the server,
# which checks it.
CHOOSE = """
element.addEventListener('click', event => {
  const button = event.target.closest('button[value]');
  if (!button) return;
  for (const other of element.querySelectorAll('button')) other.ariaPressed = other === button;
  trigger('click', {value: button.value});
});
element.addEventListener('keydown', event => {
  const columns = event.target.closest('.wall') ? 3 : 1;
  const step = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns}[event.key];
  const buttons = [...element.querySelectorAll('button')];
  const next = buttons[buttons.indexOf(document.activeElement) + step];
  if (next) { next.focus(); event.preventDefault(); }
});
// The buttons are made anew with each picture: the one that had the focus gets it back.
let focused = null;
element.addEventListener('focusin', event => { focused = event.target.value; });
element.addEventListener('focusout', event => { if (event.relatedTarget) focused = null; });
watch('value', () => {
  if (focused === null || document.activeElement !== document.body) return;
  [...element.querySelectorAll('button')].find(button => button.value === focused)?.focus();
});
"""
# The address of the page is the link to the picked cover.
FOLLOW = """
const follow = () => {
  const link = element.querySelector('[data-link]')?.dataset.link;
  if (link) history.replaceState(null, '', link);
};
watch('value', follow);
"""


def header(run: Run, model: str) -> str:
    """Returns the top of the page."""
    facts = [f"generator {model[:6]}", f"{run.resolution} px"]
    if "genres" in run.fields:
        facts.append(f"{len(run.genres)} genres")
    if "year" in run.fields and run.years:
        facts.append("{}–{}".format(*run.years))  # noqa: RUF001
    return (
        "<h1>Duck and Cover</h1><p>Covers for the album you finish tonight.</p>"
        f"<p class='facts'>{escape(' · '.join(facts))}</p>"
    )


def wall(wall: Wall, pictures: Sequence[str]) -> str:
    """Returns the nine covers, as buttons."""
    return _buttons(
        "wall",
        "Nine covers",
        (
            (str(i), f"Cover {i + 1}", str(i + 1), picture, i == wall.picked)
            for i, picture in enumerate(pictures)
        ),
    )


def counter(cover: Settings, number: int, picture: str, link: str, printed: bool) -> str:
    """Returns the picked cover.

    Args:
      cover: its settings.
      number: its number on the wall.
      picture: a data URL.
      link: the query string that brings it back.
      printed: whether the picture is finished, and not a proof.
    """
    names = " – ".join(filter(None, (cover.artist, cover.title))) or "Untitled"  # noqa: RUF001
    facts = [*(cover.genre or {}), *([str(cover.year)] if cover.year else [])]
    facts.append(f"seed {cover.seed}" + (f", varied {n}x" if (n := len(cover.toward)) else ""))
    state = "" if printed else " data-proof"
    return (
        f"<figure class='print' data-link='{escape(link)}'{state}>"
        f"<img src='{picture}' alt='The picked cover: {escape(names)}'>"
        f"<figcaption><b>{escape(names)}</b><span>No. {number} · {escape(', '.join(facts))}</span>"
        "</figcaption></figure>"
    )


def strip(label: str, rows: Iterable[tuple[str, str, str]], chosen: str) -> str:
    """Returns choices with previews.

    Args:
      label: what is chosen.
      rows: value, text, and the picture as a data URL, or "" before it is made.
      chosen: the value that is set.
    """
    return _buttons(
        "strip",
        label,
        ((value, text, text, picture, value == chosen) for value, text, picture in rows),
    )


def finishes(cover: Settings, made: Mapping[str, str]) -> str:
    """Returns the finishes to choose from, with the pictures that are made."""
    rows = [(name, name.capitalize() or "Auto", made.get(name, "")) for name in ("", *FINISHES)]
    return strip("Finish", rows, cover.finish or "")


def layouts(cover: Settings, made: Mapping[str, str]) -> str:
    """Returns the layouts of type to choose from, with the pictures that are made."""
    texts = {"": "Auto", NO_TYPE: "No type"} | {name: name.capitalize() for name in LAYOUTS}
    rows = [(name, text, made.get(name, "")) for name, text in texts.items()]
    return strip("Layout", rows, (cover.layout or "") if cover.typeset else NO_TYPE)


def inks(cover: Settings, made: Mapping[str, str]) -> str:
    """Returns the colours of the type to choose from."""
    rows = [("", "Auto", ""), *((colour, colour, picture) for colour, picture in made.items())]
    return strip("Ink", rows, (cover.ink or "").lower())


def history(pictures: Sequence[str]) -> str:
    """Returns the covers picked before."""
    rows = [(str(i), f"Picked cover {i + 1}", "", url, False) for i, url in enumerate(pictures)]
    return _buttons("crate", "Covers picked before", rows)


def status(text: str = "", bad: bool = False) -> str:
    """Returns the line that says what happened."""
    return f"<p role='status' class='{'bad' if bad else ''}'>{escape(' '.join(text.split()))}</p>"


def _buttons(kind: str, label: str, rows: Iterable[tuple[str, str, str, str, bool]]) -> str:
    """Returns a group of buttons: value, name, shown text, picture, whether it is chosen."""
    buttons = "".join(
        f"<button type='button' value='{escape(value)}' aria-label='{escape(name)}' "
        f"aria-pressed='{str(chosen).lower()}'>"
        + (f"<img src='{picture}' alt=''>" if picture else "<i></i>")
        + f"<span>{escape(text)}</span></button>"
        for value, name, text, picture, chosen in rows
    )
    return f"<div class='{kind}' role='group' aria-label='{escape(label)}'>{buttons}</div>"
