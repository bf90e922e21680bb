"""How good detection is, measured on labelled data.

Law of this room: a figure is a function of the rows, the detector and the rules written in :mod:`aiguard.evals.score`;
nothing here knows a pattern, and nothing here prints a text of a row.
"""

from __future__ import annotations

from aiguard.evals.data import Label, Row, read_rows
from aiguard.evals.score import Counts, Scores, Tally, score_row

__all__ = ["Counts", "Label", "Row", "Scores", "Tally", "read_rows", "score_row"]
