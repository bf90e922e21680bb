"""What an application has: routes, functions and clients, beside what its policy says about them.

The law of this folder: it looks and never runs. No view, property, proxy or descriptor of the application is called; what code can
reach is read off its names, its closures and the objects they are bound to. So it says what the code *shows*: what is
built from strings, fetched at run time or hidden in C is not seen, and nothing is safe because nothing was found.
"""

from aiguard.inventory.clients import Built, built_in_source, is_guarded, is_model_client, unguarded_in_process
from aiguard.inventory.reach import Hit, reach
from aiguard.inventory.report import Entry, Inventory, Problem, Row, take, warn_at_start

__all__ = [
    "Built",
    "Entry",
    "Hit",
    "Inventory",
    "Problem",
    "Row",
    "built_in_source",
    "is_guarded",
    "is_model_client",
    "reach",
    "take",
    "unguarded_in_process",
    "warn_at_start",
]
