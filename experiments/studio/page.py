"""The page itself: what is on it, and what happens when it is used."""

import dataclasses
import functools
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from absl import logging
from starlette.middleware import Middleware

from dac.covers.finishing import FINISHES
from dac.covers.typesetting import FONTS, LAYOUTS
from dac.errors import UserError
from dac.making.settings import Settings
from experiments.studio import links, markup
from experiments.studio import wall as walls
from experiments.studio.press import PRINT, Press
from experiments.studio.wall import MAX_GENRES, MAX_NAME, NO_TYPE, STEPS, Wall

HERE = Path(__file__).parent
MAX_UPLOAD = "64mb"  # a cover of 3000 pixels that is all noise has 27
MAX_WAITING = 64  # requests; the next ones are told to try again
KEEP_SECONDS = 1800  # a file to download
DOWNLOADS = (
    (".png", f"Download PNG, {PRINT} pixels", "primary"),
    (".jpg", "JPEG", "secondary"),
    (".pdf", "PDF", "secondary"),
)
# Fonts that systems have: grotesques.
FONT_STACK = (
    "Helvetica Neue",
    "Helvetica",
    "Nimbus Sans",
    "Liberation Sans",
    "Arial",
    "sans-serif",
)
DOWNLOAD = "() => document.querySelector('#file a[href], a#file[href], #file')?.click()"
COPY_LINK = "() => navigator.clipboard?.writeText(location.href)"


@dataclasses.dataclass
class Visit:
    """Counts a visitor's walls: those drawn, and the last one whose previews are done."""

    drawn: int = 0
    printed: int = -1


class Page:
    """The page; `demo` is what Gradio serves.

    Attributes:
      press: makes the pictures.
      folder: where files to download are written.
      demo: the page.
    """

    def __init__(self, press: Press, folder: Path):
        self.press, self.folder = press, folder
        self.knows = set(press.run.fields)
        with gr.Blocks(
            title="Duck and Cover",
            analytics_enabled=False,
            fill_width=True,
            delete_cache=(60, KEEP_SECONDS),
        ) as self.demo:
            self.state, self.visit = gr.State(walls.first_wall(press.typesets)), gr.State(Visit())
            self.visit = gr.State(Visit())
            self.query = gr.Textbox(visible=False)
            _html(markup.header(press.run, press.model), "top", js_on_load=None)
            with gr.Row(elem_id="shop"):
                with gr.Column(elem_id="album", min_width=0):
                    self._album()
                with gr.Column(elem_id="nine", min_width=0):
                    self._nine()
                with gr.Column(elem_id="printed", min_width=0):
                    self._printed()
            self._wire()

    def _album(self) -> None:
        """Lays out what is said of the album: what the generator was trained on, and names."""
        run = self.press.run
        gr.HTML("<h2>The album</h2>", apply_default_css=False)
        named = self.press.typesets
        self.names = {
            field: gr.Textbox(
                label=field.capitalize(),
                placeholder=example,
                max_length=MAX_NAME,
                max_lines=1,
                visible=named or field in self.knows,
                elem_id=field,
            )
            for field, example in (("artist", "Iron Hollow"), ("title", "Cathedral of Rust"))
        }
        self.genres = gr.Dropdown(
            list(run.genres),
            label="Genres",
            info=f"up to {MAX_GENRES}; type to search",
            multiselect=True,
            max_choices=MAX_GENRES,
            visible="genres" in self.knows,
            elem_id="genres",
        )
        with gr.Column(elem_id="mix", min_width=0):
            self.weights = [
                gr.Slider(0.05, 1, 1, step=0.05, visible=False, elem_classes="weight")
                for _ in range(MAX_GENRES)
            ]
        first, last = run.years or (1950, 2025)
        dated = "year" in self.knows and run.years is not None
        with gr.Row(elem_id="when", visible=dated) as self.when:
            self.year = gr.Slider(
                first, last, (first + last) // 2, step=1, label="Year", elem_id="year"
            )
            self.any_year = gr.Checkbox(True, label="any year", min_width=0, scale=0)
        self.truncation = gr.Slider(
            0, 1, 1, step=0.05, label="Truncation", info="less is more typical"
        )
        gr.HTML("<h3>Bring back a cover</h3>", apply_default_css=False)
        self.upload = gr.File(
            show_label=False,
            file_types=[".png"],
            type="filepath",
            elem_id="upload",
            height=96,
        )
        self.controls = [
            *self.names.values(), self.genres, *self.weights, self.year, self.any_year,
            self.truncation,
        ]  # fmt: skip

    def _nine(self) -> None:
        """Lays out the nine covers."""
        gr.HTML("<h2>Nine covers</h2>", apply_default_css=False)
        # Pictures are there with the page, before it is connected.
        first = walls.first_wall(self.press.typesets)
        pictures, _ = self.press.proofs(first.covers)
        self.wall = _html(markup.wall(first, pictures), "wall", label="Nine covers")
        with gr.Row(elem_id="more"):
            self.new = gr.Button("Nine new ones", elem_id="new", min_width=0)
            self.vary = gr.Button("Vary the picked one", elem_id="vary", min_width=0)
            self.step = gr.Radio(
                list(STEPS), value="near", show_label=False, container=False, elem_id="step"
            )
        self.status = _html(markup.status(), "status", js_on_load=None)
        self.history = _html(markup.history([]), "history", label="Picked before")

    def _printed(self) -> None:
        """Lays out the picked cover, its finish, its type, and the downloads."""
        first = walls.first_wall(self.press.typesets).cover
        gr.HTML("<h2>Your cover</h2>", apply_default_css=False)
        self.counter = _html("", "counter", js_on_load=markup.FOLLOW)
        with gr.Row(elem_id="downloads"):
            self.saves = {
                suffix: gr.Button(text, variant=variant, min_width=0, elem_id=suffix[1:])
                for suffix, text, variant in DOWNLOADS
            }
            self.link = gr.Button("Copy link", min_width=0, elem_id="link")
        self.file = gr.DownloadButton("File", visible="hidden", elem_id="file")
        gr.HTML("<h3>Finish</h3>", apply_default_css=False)
        self.finishes = _html(self._finish_strip(first, {}), "finishes", label="Finish")
        with gr.Column(visible=self.press.typesets, min_width=0):
            gr.HTML("<h3>Type</h3>", apply_default_css=False)
            self.layouts = _html(self._layout_strip(first, {}), "layouts", label="Layout")
            self.font = gr.Dropdown(
                [("Chosen by genre and year", ""), *((_spaced(font), font) for font in FONTS)],
                value="",
                label="Typeface",
                elem_id="font",
            )
        self.controls.append(self.font)

    def _wire(self) -> None:
        """Says what happens when."""
        live = {"trigger_mode": "always_last"}  # follows typing and sliding, to where they stop
        back = {"controls": self._controls}
        uploaded = self._on(self.upload.upload, self._bring_back, self.upload, **back)
        uploaded.then(None, js="() => null", outputs=self.upload, api_visibility="private")
        drawn = [
            uploaded,
            self._on(self.demo.load, self._open, self.query, js="() => [location.search]", **back),
            self._on(self.wall.click, walls.pick, chosen=True, **back),
            self._on(self.history.click, walls.recall, chosen=True, **back),
            self._on(self.new.click, walls.new_covers),
            self._on(self.vary.click, walls.vary, self.step),
            self._on(self.genres.input, walls.set_genres, self.genres, controls=self._weights),
            self._on(self.year.input, walls.set_year, self.year, **live),
            self._on(self.any_year.input, _any_year, self.any_year, self.year),
            self._on(self.truncation.input, _setting("truncation"), self.truncation, **live),
            self._on(self.finishes.click, _setting("finish"), chosen=True),
            self._on(self.layouts.click, walls.set_layout, chosen=True),
            self._on(self.font.input, _setting("font"), self.font),
            *(
                self._on(box.change, functools.partial(walls.set_name, field), box, **live)
                for field, box in self.names.items()
            ),
            *(
                self._on(weight.input, walls.set_weights, *self.weights, **live)
                for weight in self.weights
            ),
        ]
        # Who moves the year wants it to count.
        self.year.input(None, js="() => false", outputs=self.any_year, api_visibility="private")
        strips = [self.counter, self.finishes, self.layouts, self.status]
        for event in drawn:
            event.then(
                self._guarded(self._print), [self.state, self.visit], strips, **_queue("print")
            )
        for suffix, button in self.saves.items():
            save = functools.partial(self._save, suffix)
            button.click(
                self._guarded(save), self.state, [self.file, self.status], **_queue("save")
            ).then(None, js=DOWNLOAD, api_visibility="private")
        self.link.click(
            lambda: markup.status("The link is copied; it is the address of this page, too."),
            outputs=self.status,
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
                yield {self.status: gr.skip()}
                return
            visit.drawn += 1
            # Controls that show the settings already are left alone: somebody may be typing there.
            seed = {"seed": changed.cover.seed, "toward": changed.cover.toward}
            same = dataclasses.replace(wall.cover, **seed) == changed.cover
            yield self._drawn(changed) | ({} if same else controls(changed.cover))

        def draw_chosen(wall, visit, data: gr.EventData):
            yield from draw(wall, visit, data._data.get("value", ""))

        outputs = [self.state, self.wall, self.counter, self.history, self.status]
        return event(
            self._guarded(draw_chosen if chosen else draw),
            [self.state, self.visit, *inputs],
            outputs + self.controls,
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
                yield {self.status: markup.status(str(error), bad=True)}
            except Exception:
                logging.exception("an action of the page failed")
                text = "Something failed; the terminal of this program says what. Try another way."
                yield {self.status: markup.status(text, bad=True)}

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
            self.wall: markup.wall(wall, pictures),
            self.counter: self._counter(wall, pictures[wall.picked], printed=False),
            self.history: markup.history(before),
            self.status: markup.status("; ".join(warnings)),
        }

    def _counter(self, wall: Wall, picture: str, printed: bool) -> str:
        link = links.link_of(wall.cover, self.press.model)
        return markup.counter(wall.cover, wall.picked + 1, picture, link, printed)

    def _controls(self, cover: Settings) -> dict:
        """Shows all settings on the controls."""
        shown = {box: getattr(cover, field) or "" for field, box in self.names.items()}
        shown |= {self.genres: list(cover.genre or {})} | self._weights(cover)
        shown |= {self.any_year: cover.year is None}
        shown |= {} if cover.year is None else {self.year: cover.year}
        return shown | {self.truncation: cover.truncation, self.font: cover.font or ""}

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
            for slider, (name, weight) in zip(self.weights, genres + hidden, strict=True)
        }

    def _print(self, wall: Wall, visit: Visit) -> Iterator[dict]:
        """Prints the picked cover, then previews of other layouts and finishes.

        That takes seconds, so it ends when the visitor has gone on: what follows prints that.
        """
        drawn, cover = visit.drawn, wall.cover
        yield {self.counter: gr.skip()}  # Gradio empties what nothing is said of
        if visit.printed == drawn:
            return
        picture = self.press.preview(cover)
        if visit.drawn == drawn:
            yield {self.counter: self._counter(wall, picture, printed=True)}
        made = {}
        for strip, pictures, shown in (
            (self.layouts, self.press.layouts(cover), self._layout_strip),
            (self.finishes, self.press.finishes(cover), self._finish_strip),
        ):
            made = {}
            for name, picture in pictures:
                if visit.drawn != drawn:
                    return
                made[name] = picture
            yield {strip: shown(cover, made)}
        visit.printed = drawn

    def _finish_strip(self, cover: Settings, made: Mapping[str, str]) -> str:
        rows = [(name, name.capitalize() or "Auto", made.get(name, "")) for name in ("", *FINISHES)]
        return markup.strip("Finish", rows, cover.finish or "")

    def _layout_strip(self, cover: Settings, made: Mapping[str, str]) -> str:
        texts = {"": "Auto", NO_TYPE: "No type"} | {name: name.capitalize() for name in LAYOUTS}
        rows = [(name, text, made.get(name, "")) for name, text in texts.items()]
        return markup.strip("Layout", rows, (cover.layout or "") if cover.typeset else NO_TYPE)

    def _save(self, suffix: str, wall: Wall) -> Iterator[dict]:
        """Writes the picked cover in print size."""
        text = f"Printing at {PRINT} x {PRINT} pixels …"
        yield {self.file: None, self.status: markup.status(text)}
        path = self.press.save(wall.cover, suffix, self.folder)
        yield {self.file: str(path), self.status: markup.status(f"{path.name} is printed.")}


def serve(press: Press, folder: str, host: str, port: int) -> gr.Blocks:
    """Starts the page and returns it; it serves until `close`.

    Args:
      press: makes the pictures.
      folder: of files on their way to a visitor.
      host: the address to listen at.
      port: its port.

    Raises:
      UserError: it can't listen there.
    """
    os.environ["GRADIO_TEMP_DIR"] = folder
    press.warm_up()
    page = Page(press, Path(folder))
    page.demo.queue(max_size=MAX_WAITING)
    try:
        page.demo.launch(
            server_name=host,
            server_port=port,
            share=False,
            quiet=True,
            prevent_thread_lock=True,
            footer_links=[],
            run_history=False,
            ssr_mode=False,
            enable_monitoring=False,
            max_file_size=MAX_UPLOAD,
            theme=gr.themes.Base(font=FONT_STACK, font_mono=("monospace",)),
            css_paths=HERE / "style.css",
            app_kwargs={"middleware": [Middleware(OnlyThisServer)], "openapi_url": None},
        )
    except OSError as error:
        raise UserError(f"can't listen at {host}:{port}; give another --port") from error
    return page.demo


class OnlyThisServer:
    """Tells browsers to load nothing from elsewhere, and to tell no other site of a link."""

    HEADERS = (
        (
            b"content-security-policy",
            b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'none'",
        ),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
    )

    def __init__(self, app: Callable):
        self.app = app

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        """Handles a request as ASGI describes."""

        async def send_with_headers(message):
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self.HEADERS]
            await send(message)

        await self.app(scope, receive, send_with_headers)


def _html(value: str, name: str, js_on_load: str | None = markup.CHOOSE, **options) -> gr.HTML:
    return gr.HTML(value, elem_id=name, js_on_load=js_on_load, apply_default_css=False, **options)


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


def _spaced(name: str) -> str:
    return name.replace("-", " ").replace("_", " ").capitalize()
