"""The one list of what `examples/run` runs."""

from dataclasses import dataclass

import checks


@dataclass(frozen=True)
class Row:
    name: str
    packages: tuple = ("image",)
    debian: str = ""  # packages
    programs: tuple = ()  # what else must be there
    build: str = ""  # a shell command, in the copy of the folder
    port_in: tuple = ()  # files that name port 8080 because their format knows no environment variables
    options: tuple = ()  # of lambda-local
    base: str = ""  # of every path, behind a stage
    without: tuple = ()  # HTTP checks that cannot hold, such as a POST to a server of files
    origin: bool = False  # the app is a proxy: origin.py is behind it, at $ORIGIN
    also: tuple = ()  # checks of this row alone
    folder: str = ""  # its own name, if empty

    def __post_init__(self):
        object.__setattr__(self, "folder", self.folder or self.name)


BOTH = ("image", "zip")

ROWS = [
    Row("express", BOTH, also=(checks.sigterm,)),
    Row("fastify"),
    Row("koa"),
    Row("flask", BOTH),
    Row("fastapi", BOTH),
    Row("django"),
    Row("fasthtml"),
]
