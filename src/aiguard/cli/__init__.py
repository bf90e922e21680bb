"""``aiguard …`` on the command line.

The law of this room: a command decides nothing that the library does not decide. It loads, calls, prints, and exits with
0 (fine), 1 (the answer is no: a policy is invalid, a check failed, something could not be read) or 2 (used wrongly). What is
wrong is one clear block on standard error, never a traceback; data goes to standard output, so that it can be piped.

Commands are imported when they are called: ``aiguard policy check`` needs no database and no web framework.
"""

from __future__ import annotations

from aiguard.cli.commands import command_group, main
from aiguard.cli.context import current_settings

__all__ = ["command_group", "current_settings", "main"]
