"""Which settings a command works with: those of the program that runs it, or the environment's."""

from __future__ import annotations

from typing import Any, Final

import click

from aiguard.settings import Settings

APPLICATION: Final = "aiguard.application"
"""Where a click context keeps the application of the program that runs the command."""


def current_settings() -> Settings:
    """The settings that ``flask aiguard`` was given from ``app.config``; for ``aiguard`` itself, the environment's."""
    context = click.get_current_context(silent=True)
    found = context.find_object(Settings) if context is not None else None
    return Settings.load() if found is None else found


def current_application() -> Any:
    """The application that ``flask aiguard`` belongs to; None for ``aiguard`` itself."""
    context = click.get_current_context(silent=True)
    return context.meta.get(APPLICATION) if context is not None else None
