"""The page: what happens when it is used."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from absl import logging

from dac.errors import UserError
from dac.making.settings import Settings
from experiments.studio import links, markup
from experiments.studio import wall as walls
from experiments.studio.layout import Parts
from experiments.studio.press import BLEED, PRINT, Press
from experiments.studio.wall import MAX_GENRES, Wall

KEEP_SECONDS = 1800  # a file to download
DOWNLOAD = "() => document.querySelector('#file a[href], a#file[href], #file')?.click()"
COPY_LINK = "() => navigator.clipboard?.writeText(location.href)"


@dataclasses.dataclass
class Visit:
    """The wall that a visitor was shown last, and the last one whose previews are done.

    It changes while handlers run, and tells them that the visitor has gone on.
    """

    drawn: Wall | None = None
    printed: Wall | None = None


class Page:
    """The page; `demo` is what Gradio serves.

    Attributes:
      press: makes the pictures.
      folder: where files to download are written.
      demo: the page.
    """

    def __init__(self, press: Press, folder: Path):
        self.press, self.folder = press, folder
        with gr.Blocks(
            title="Duck and Cover",
            analytics_enabled=False,
            fill_width=True,
            delete_cache=(60, KEEP_SECONDS),
        ) as self.demo:
            self.parts = Parts(press)
            self.state = gr.State(walls.first_wall(press.typesets))
            self.visit = gr.State(Visit())
            self._wire()

    def _wire(self) -> None:
        """Says what happens when."""
        parts = self.parts
        live = {"trigger_mode": "always_last"}  # follows typing and sliding, to where they stop
        back = {"controls": self._controls}
        uploaded = self._on(parts.upload.upload, self._bring_back, parts.upload, **back)
        uploaded.then(None, js="() => null", outputs=parts.upload, api_visibility="private")
        drawn = [
            uploaded,
            self._on(self.demo.load, self._open, parts.query, js="() => [location.search]", **back),
            self._on(parts.wall.click, walls.pick, chosen=True, **back),
            self._on(parts.history.click, walls.recall, chosen=True, **back),
            self._on(parts.new.click, walls.new_covers),
            self._on(parts.vary.click, walls.vary, parts.step),
            self._on(parts.genres.input, walls.set_genres, parts.genres, controls=self._weights),
            self._on(parts.year.input, walls.set_year, parts.year, **live),
            self._on(parts.any_year.input, _any_year, parts.any_year, parts.year),
            self._on(parts.truncation.input, _setting("truncation"), parts.truncation, **live),
            self._on(parts.finishes.click, _setting("finish"), chosen=True),
            self._on(parts.layouts.click, walls.set_layout, chosen=True),
            self._on(parts.inks.click, _setting("ink"), chosen=True),
            self._on(parts.font.input, _setting("font"), parts.font),
            *(
                self._on(box.change, functools.partial(walls.set_name, field), box, **live)
                for field, box in parts.names.items()
            ),
            *(
                self._on(weight.input, walls.set_weights, *parts.weights, **live)
                for weight in parts.weights
            ),
        ]
        # Who moves the year wants it to count.
        parts.year.input(None, js="() => false", outputs=parts.any_year, api_visibility="private")
        strips = [parts.counter, parts.finishes, parts.layouts, parts.inks, parts.status]
        for event in drawn:
            event.then(
                self._guarded(self.print_wall), [self.state, self.visit], strips, **_queue("print")
            )
        for suffix, button in parts.saves.items():
            save = functools.partial(self._save, suffix)
            button.click(
                self._guarded(save),
                [self.state, parts.bleed],
                [parts.file, parts.status],
                **_queue("save"),
            ).then(None, js=DOWNLOAD, api_visibility="private")
        parts.link.click(
            lambda: markup.status("The link is copied; it is the address of this page, too."),
            outputs=parts.status,
            js=COPY_LINK,
            **_queue("draw"),
        )

    def _on(
        self,
        event: Callable,
        action: Callable[..., Wall],
        *inputs: gr.components.Component,
        chosen: bool = False,
        controls: Callable[[Settings], dict] = lambda cover: {},
        **options: Any,
    ):
        """Draws the wall that an action returns.

        Args:
          event: what it waits for.
          action: receives the wall and values.
          inputs: the components that have the values.
          chosen: whether the value is that of a button of the page's own HTML.
          controls: returns what the controls then show.
          options: of the event.
        """

        def draw(wall, visit, *values):
            changed = action(wall, *values)
            if changed == wall and visit.drawn:  # a control shows what it was told to show
                yield {self.parts.status: gr.skip()}
                return
            visit.drawn, visit.printed = changed, None
            # Controls that show the settings already are left alone: somebody may be typing there.
            seed = {"seed": changed.cover.seed, "toward": changed.cover.toward}
            same = dataclasses.replace(wall.cover, **seed) == changed.cover
            yield self._drawn(changed) | ({} if same else controls(changed.cover))

        def draw_chosen(wall, visit, data: gr.EventData):
            yield from draw(wall, visit, data._data.get("value", ""))

        outputs = [
            self.state,
            self.parts.wall,
            self.parts.counter,
            self.parts.history,
            self.parts.status,
        ]
        return event(
            self._guarded(draw_chosen if chosen else draw),
            [self.state, self.visit, *inputs],
            outputs + self.parts.controls,
            **_queue("draw"),
            **({"trigger_mode": "multiple"} | options),
        )

    def _guarded(self, handler: Callable[..., Iterator[dict]]) -> Callable[..., Iterator[dict]]:
        """Returns a handler that tells of an error in one line, and goes on."""

        @functools.wraps(handler)
        def guarded(*values):
            try:
                yield from handler(*values)
            except UserError as error:
                yield {self.parts.status: markup.status(str(error), bad=True)}
            except Exception:
                logging.exception("an action of the page failed")
                text = "Something failed; the terminal of this program says what. Try another way."
                yield {self.parts.status: markup.status(text, bad=True)}

        return guarded

    def _open(self, wall: Wall, query: str) -> Wall:
        record = links.read_link(query)
        return walls.restore(wall, record) if record else wall

    def _bring_back(self, wall: Wall, path: str) -> Wall:
        return walls.restore(wall, links.read_upload(path))

    def _drawn(self, wall: Wall) -> dict:
        """Draws a wall; the picked cover is a proof until it is printed."""
        pictures, warnings = self.press.proofs(wall.covers)
        before = [picture for cover in wall.history for picture in self.press.proofs([cover])[0]]
        return {
            self.state: wall,
            self.parts.wall: markup.wall(wall, pictures),
            self.parts.counter: self._counter(wall, pictures[wall.picked], printed=False),
            self.parts.history: markup.history(before),
            self.parts.status: markup.status("; ".join(warnings)),
        }

    def _counter(self, wall: Wall, picture: str, printed: bool) -> str:
        link = links.link_of(wall.cover, self.press.model)
        return markup.counter(wall.cover, wall.picked + 1, picture, link, printed)

    def _controls(self, cover: Settings) -> dict:
        """Shows all settings on the controls."""
        shown = {box: getattr(cover, field) or "" for field, box in self.parts.names.items()}
        shown |= {self.parts.genres: list(cover.genre or {})} | self._weights(cover)
        shown |= {self.parts.any_year: cover.year is None}
        shown |= {} if cover.year is None else {self.parts.year: cover.year}
        return shown | {self.parts.truncation: cover.truncation, self.parts.font: cover.font or ""}

    def _weights(self, cover: Settings) -> dict:
        """Shows the weights of the genres, in shares of the largest, if there are several."""
        genres = [*(cover.genre or {}).items()]
        most = max((weight for _, weight in genres), default=1.0)
        hidden = [("", most)] * (MAX_GENRES - len(genres))
        return {
            slider: gr.update(
                label=name,
                value=round(max(weight / most, 0.05), 2),
                visible=bool(name) and len(genres) > 1,
            )
            for slider, (name, weight) in zip(self.parts.weights, genres + hidden, strict=True)
        }

    def print_wall(self, wall: Wall, visit: Visit) -> Iterator[dict]:
        """Prints the picked cover, then previews of other layouts and finishes.

        That takes seconds, so it ends when the visitor has gone on: what follows prints that.

        Args:
          wall: the wall to print.
          visit: says which wall the visitor sees, and whether it is printed already.

        Yields:
          What components show.
        """
        cover = wall.cover
        yield {self.parts.counter: gr.skip()}  # Gradio empties what nothing is said of
        if visit.drawn is None:  # a bad link: the visitor sees what the page came with
            visit.drawn = wall
        if visit.drawn != wall or visit.printed == wall:
            return
        picture = self.press.preview(cover)
        if visit.drawn == wall:
            yield {self.parts.counter: self._counter(wall, picture, printed=True)}
        for strip, pictures, shown in (
            (self.parts.layouts, self.press.layouts(cover), markup.layouts),
            (self.parts.inks, self.press.swatches(cover), markup.inks),
            (self.parts.finishes, self.press.finishes(cover), markup.finishes),
        ):
            made = {}
            for name, picture in pictures:
                if visit.drawn != wall:
                    return
                made[name] = picture
            yield {strip: shown(cover, made)}
        visit.printed = wall

    def _save(self, suffix: str, wall: Wall, with_bleed: bool) -> Iterator[dict]:
        """Writes the picked cover in print size."""
        text = f"Printing at {PRINT} x {PRINT} pixels …"
        yield {self.parts.file: None, self.parts.status: markup.status(text)}
        bleed = BLEED if with_bleed else 0.0
        path = self.press.save(wall.cover, suffix, self.folder, bleed)
        yield {
            self.parts.file: str(path),
            self.parts.status: markup.status(f"{path.name} is printed."),
        }


def _queue(name: str) -> dict[str, Any]:
    """Returns the options of events that wait for each other."""
    return {
        "concurrency_id": name,
        "concurrency_limit": 1,
        "show_progress": "hidden",
        "api_visibility": "private",
    }


def _setting(name: str) -> Callable[[Wall, Any], Wall]:
    """Returns the action that sets a setting; "" leaves it open."""
    return lambda wall, value: walls.change(wall, **{name: None if value == "" else value})


def _any_year(wall: Wall, anything: bool, year: float) -> Wall:
    return walls.set_year(wall, None if anything else year)
