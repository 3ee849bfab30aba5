"""The page on which people make covers: genres, year and names in, a cover in print size out."""

import os
import signal
import tempfile
import threading

from absl import flags

from dac.errors import UserError
from experiments import cli, generators

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Defines the flags of the command."""
    generators.define_flags()
    flags.DEFINE_integer("port", 7860, "port of the page", 1, 65535)
    flags.DEFINE_string("host", "127.0.0.1", "address to listen at; 0.0.0.0: for others, too")


def main() -> None:
    """Serves the page until SIGINT (Ctrl-C) or SIGTERM."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported
    try:
        import gradio  # noqa: F401
    except ImportError:
        raise UserError("the page needs Gradio: python -m pip install -e '.[studio]'") from None
    from experiments.studio import serving
    from experiments.studio.press import Press

    press = Press(generators.load())
    with tempfile.TemporaryDirectory(prefix="duck_and_cover_") as folder:
        demo = serving.serve(press, folder, FLAGS.host, FLAGS.port)
        stopped = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopped.set())
        print(f"http://{FLAGS.host}:{FLAGS.port} (Ctrl-C stops)", flush=True)
        stopped.wait()
        demo.close(verbose=False)


if __name__ == "__main__":
    cli.run(main, define_flags)
