"""Stage 4: is someone trying to override the instructions?

Law of this room: a signature reads the text as a model would (normalised), says how sure it is, and brings examples
and counter-examples; several weak ones add up, none of them ever quotes the text.
"""

from __future__ import annotations

from aiguard.injection.defence import BUILTIN, Defence
from aiguard.injection.limits import token_upper_bound
from aiguard.injection.signatures import Signature

__all__ = ["BUILTIN", "Defence", "Signature", "token_upper_bound"]
