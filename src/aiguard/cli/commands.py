"""The root command: the list of what there is, loaded when it is called."""

from __future__ import annotations

import errno
import importlib
from collections.abc import Mapping
from importlib import metadata
from types import MappingProxyType
from typing import Any, Final

import click

from aiguard.cli.context import APPLICATION
from aiguard.cli.output import TAMPERED, UNDONE, fail
from aiguard.errors import AIGuardError, EventAltered
from aiguard.settings import Settings

COMMANDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "audit": "aiguard.cli.audit:audit",
        "db": "aiguard.cli.database:database",
        "demo": "aiguard.cli.demo:demo",
        "eval": "aiguard.cli.evaluate:evaluate",
        "explain": "aiguard.cli.explain:explain",
        "hold": "aiguard.cli.hold:hold",
        "jobs": "aiguard.cli.jobs:jobs",
        "keys": "aiguard.cli.keys:keys",
        "policy": "aiguard.cli.policy:policy",
        "routes": "aiguard.cli.routes:routes",
        "prune": "aiguard.cli.prune:prune",
        "retention": "aiguard.cli.retention:retention",
        "run-due": "aiguard.cli.run_due:run_due",
        "scan": "aiguard.cli.scan:scan",
        "subject": "aiguard.cli.subject:subject",
        "token": "aiguard.cli.token:token",
        "types": "aiguard.cli.kinds:types",
    }
)
"""Command name to ``module:object``. A new command is one line here and a module beside this one."""


_UNWRITTEN: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What a full or broken disk says. A reader who has gone away (EPIPE) is click's to handle."""


class LazyGroup(click.Group):
    """A group that imports a command's module when somebody asks for it, and turns our errors into exit code 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, without importing any."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command, imported now; ``None`` when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{COMMANDS[cmd_name]} is not a click command")
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run, and say our own errors in one block instead of a traceback."""
        try:
            return super().invoke(ctx)
        except EventAltered as error:
            fail(f"{error}\nrun `aiguard audit verify`", code=TAMPERED)
        except AIGuardError as error:
            fail(str(error))
        except UnicodeError:
            fail("what was given, as an argument or on standard input, is not UTF-8", code=UNDONE)
        except OSError as error:
            if error.errno not in _UNWRITTEN:
                raise
            fail(f"the output cannot be written: {error.strerror}", code=UNDONE)


def _version() -> str:
    try:
        return metadata.version("aiguard")
    except metadata.PackageNotFoundError:  # run from a source tree that was never installed
        return "unknown"


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version=_version(), prog_name="aiguard")
def main() -> None:
    """Security, privacy and governance controls in the request path of applications that call AI models."""


def command_group(settings: Settings, *, app: Any = None) -> click.Group:
    """The same commands for another program's command line (``flask aiguard``), with settings that are already read.

    ``app`` is that program's application, which ``routes`` looks at.
    """

    @click.pass_context
    def use(context: click.Context) -> None:
        context.obj = settings
        context.meta[APPLICATION] = app

    return LazyGroup(name="aiguard", callback=use, help=main.help)
