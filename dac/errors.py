"""The one kind of error that is meant for the person at the terminal."""


class UserError(Exception):
    """Something the user can put right; its text is one line that names the way out."""
