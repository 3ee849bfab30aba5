"""What is on the page, and where."""

import gradio as gr

from dac.covers.typesetting import FONTS
from experiments.studio import markup
from experiments.studio import wall as walls
from experiments.studio.press import BLEED, PRINT, Press
from experiments.studio.wall import MAX_GENRES, MAX_NAME, STEPS

DOWNLOADS = (
    (".png", f"Download PNG, {PRINT} pixels", "primary"),
    (".jpg", "JPEG", "secondary"),
    (".pdf", "PDF", "secondary"),
)


class Parts:
    """The components of the page, in columns: the album, nine covers, the picked one.

    Creating them puts them on the page that is open (`with gr.Blocks()`).

    Attributes:
      controls: the components that show settings.
    """

    def __init__(self, press: Press):
        self.press, self.knows = press, set(press.run.fields)
        self.query = gr.Textbox(visible=False)
        _html(markup.header(press.run, press.model), "top", js_on_load=None)
        with gr.Row(elem_id="shop"):
            with gr.Column(elem_id="album", min_width=0):
                self._album()
            with gr.Column(elem_id="nine", min_width=0):
                self._nine()
            with gr.Column(elem_id="printed", min_width=0):
                self._printed()

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
        self.bleed = gr.Checkbox(
            False, label=f"Files with {BLEED:g} mm of bleed, for a printer", elem_id="bleed"
        )
        self.file = gr.DownloadButton("File", visible="hidden", elem_id="file")
        gr.HTML("<h3>Finish</h3>", apply_default_css=False)
        self.finishes = _html(markup.finishes(first, {}), "finishes", label="Finish")
        with gr.Column(visible=self.press.typesets, min_width=0):
            gr.HTML("<h3>Type</h3>", apply_default_css=False)
            self.layouts = _html(markup.layouts(first, {}), "layouts", label="Layout")
            self.inks = _html(markup.inks(first, {}), "inks", label="Ink")
            self.font = gr.Dropdown(
                [("Chosen by genre and year", ""), *((_spaced(font), font) for font in FONTS)],
                value="",
                label="Typeface",
                elem_id="font",
            )
        self.controls.append(self.font)


def _html(value: str, name: str, js_on_load: str | None = markup.CHOOSE, **options) -> gr.HTML:
    return gr.HTML(value, elem_id=name, js_on_load=js_on_load, apply_default_css=False, **options)


def _spaced(name: str) -> str:
    return name.replace("-", " ").replace("_", " ").capitalize()
