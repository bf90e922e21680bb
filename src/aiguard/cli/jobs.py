"""``aiguard jobs start``: let RQ workers do what retention has to do."""

from __future__ import annotations

from urllib.parse import urlsplit

import click

from aiguard.cli.context import current_settings
from aiguard.cli.output import err, fail, out
from aiguard.errors import SettingsError
from aiguard.types import utc_now


@click.group()
def jobs() -> None:
    """Retention on RQ workers."""


@jobs.command()
@click.option("--queue", "name", default="aiguard", show_default=True, help="The RQ queue.")
def start(name: str) -> None:
    """Put the next ticks into RQ's schedule. Each tick puts the following ones there; run this at every deployment."""
    from aiguard import jobs as door

    settings = current_settings()
    url = settings.jobs_redis_url
    if url is None:
        raise SettingsError(
            "AIGUARD_JOBS_REDIS_URL is not set; set it to the Redis that RQ's workers use, and no other"
        )
    if not settings.environment.relaxed and urlsplit(url).scheme != "redis+unix" and not urlsplit(url).password:
        err(
            "warning: AIGUARD_JOBS_REDIS_URL has no password; whoever can write to that Redis can make RQ's workers call functions"
        )
    if warning := settings.network_warning:
        err(f"warning: {warning}")
    try:
        added = door.start(door.retention_queue(door.connect(url), name), now=utc_now())
    except door.RedisError:
        fail("Redis does not answer at AIGUARD_JOBS_REDIS_URL; nothing was scheduled")
    out(f"{added} ticks scheduled on the queue {name}")
    out(
        f"run workers with: rq worker {name} --serializer json --job-class aiguard.jobs.RetentionJob --with-scheduler --url …"
    )
