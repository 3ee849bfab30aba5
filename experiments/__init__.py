"""The commands: train, sample, evaluate and benchmark."""

from dac.errors import require_posix

require_posix()  # before any module imports fcntl or resource
