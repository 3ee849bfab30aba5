"""Curves and pictures for TensorBoard, without TensorFlow or PyTorch."""

import sys
import time
from pathlib import Path

# tensorboardX imports PyTorch if it is installed, for types that are not used here.
sys.modules.setdefault("torch", None)
from tensorboardX import summary  # noqa: E402
from tensorboardX.event_file_writer import EventsWriter  # noqa: E402
from tensorboardX.proto.event_pb2 import Event, SessionLog  # noqa: E402
from tensorboardX.proto.summary_pb2 import Summary  # noqa: E402

if sys.modules["torch"] is None:
    del sys.modules["torch"]


class Board:
    """An event file that is written synchronously.

    `tensorboardX.SummaryWriter` writes in a thread. A full disk ends that thread silently, and the
    next write waits for it forever.
    """

    def __init__(self, folder: Path, images_seen: int):
        """Starts a file; TensorBoard drops later values than `images_seen` from earlier files."""
        folder.mkdir(exist_ok=True)
        self._writer = EventsWriter(str(folder / "events"))
        start = SessionLog(status=SessionLog.START)
        self._write(images_seen + 1, session_log=start)

    def add_scalars(self, images_seen: int, values: dict[str, float]) -> None:
        """Adds numbers by name."""
        for name, value in values.items():
            self._write(images_seen, summary=summary.scalar(name, value))

    def add_png(self, images_seen: int, name: str, size: tuple[int, int], png: bytes) -> None:
        """Adds an RGB picture of a width and a height, as the bytes of a PNG file."""
        width, height = size
        image = Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=png)
        self._write(images_seen, summary=Summary(value=[Summary.Value(tag=name, image=image)]))

    def close(self) -> None:
        """Closes the file."""
        self._writer.close()

    def _write(self, images_seen, **content):
        self._writer.write_event(Event(step=images_seen, wall_time=time.time(), **content))
        self._writer.flush()
