"""``python -m memweld``: the command line."""

from .cli import app

app(prog_name="memweld")
