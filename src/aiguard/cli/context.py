"""Which settings a command works with: those of the program that runs it, or the environment's."""

from __future__ import annotations

import click

from aiguard.settings import Settings


def current_settings() -> Settings:
    """The settings that ``flask aiguard`` was given from ``app.config``; for ``aiguard`` itself, the environment's."""
    context = click.get_current_context(silent=True)
    found = context.find_object(Settings) if context is not None else None
    return Settings.load() if found is None else found
