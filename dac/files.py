"""Files that are whole or not there."""

import os
from collections.abc import Iterable
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 file at once: a reader, or a crash, finds the old one or the new one."""
    write_lines(path, [text])


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a binary file as `write_text` does."""
    temporary = path.with_name(f"{path.name}.part")
    temporary.write_bytes(content)
    os.replace(temporary, path)


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Writes lines, their ends included, as `write_text` does, without holding them all."""
    temporary = path.with_name(f"{path.name}.part")
    with temporary.open("w", encoding="utf-8") as file:
        file.writelines(lines)
    os.replace(temporary, path)
