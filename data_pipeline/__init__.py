"""Collects album covers and builds datasets from them."""

from dac.errors import require_posix

require_posix()  # before any module imports fcntl or resource
