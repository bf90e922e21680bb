"""Stage 6: may this answer be delivered?

The law of this folder: rules that need the whole answer see the whole answer, after tokens were restored, and a rule that
cannot decide refuses. Nothing here knows where an answer came from.
"""

from aiguard.output.links import LinkScan, link_spans
from aiguard.output.rules import AnswerRules, Violation, pattern_broken

__all__ = ["AnswerRules", "LinkScan", "Violation", "link_spans", "pattern_broken"]
