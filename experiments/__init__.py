"""The commands: train, sample and evaluate."""

from dac.errors import require_posix

require_posix()  # before any module imports fcntl or resource
