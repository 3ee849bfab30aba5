"""Serves the page, to this machine alone unless told otherwise, and with nothing from elsewhere."""

import os
from collections.abc import Callable
from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware

from dac.errors import UserError
from experiments.studio.page import Page
from experiments.studio.press import Press

MAX_UPLOAD = "64mb"  # a cover of 3000 pixels that is all noise has 27
MAX_WAITING = 64  # requests; the next ones are told to try again
# Fonts that systems have: grotesques.
FONT_STACK = (
    "Helvetica Neue",
    "Helvetica",
    "Nimbus Sans",
    "Liberation Sans",
    "Arial",
    "sans-serif",
)


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
            css_paths=Path(__file__).with_name("style.css"),
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
