"""From labelled rows and findings to precision, recall and F1.

A finding hits a label of its own type when their overlap is at least half of the longer of the two (any overlap where
the row marks whole lines). One finding hits one label at most. A finding that hits nothing is a false positive, unless

* its type is not in the row's ``scope``,
* it overlaps a ``maybe`` span,
* it is just what the row marks as a type that is not counted (sources name the same thing differently), or
* the row is a counter-example whose value may contain a valid one (``neg_mode: exact``) and it covers less than that.

A label is *covered* when findings of any type overlap at least half of it: what redaction needs, also where sources
name types differently.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aiguard.evals.data import Label, Row
from aiguard.types import Detector, Finding

PER: Final = 10_000
"""Characters to which false positives are related."""


@dataclass(kw_only=True, slots=True)
class Counts:
    """Hits, false positives and misses of one type. Figures of nothing are 0.0."""

    tp: int = 0
    fp: int = 0
    fn: int = 0

    def add(self, other: Counts) -> None:
        """Add another count to this one."""
        self.tp += other.tp
        self.fp += other.fp
        self.fn += other.fn

    @property
    def support(self) -> int:
        """How many were labelled."""
        return self.tp + self.fn

    @property
    def precision(self) -> float:
        """Hits among findings."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """Hits among labels."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    def as_dict(self) -> dict[str, Any]:
        """What ``--json`` shows; ratios to four places."""
        return {
            "precision": round(self.precision, 4),
            "recall": round(self.recall, 4),
            "f1": round(self.f1, 4),
            "support": self.support,
            "tp": self.tp,
            "fp": self.fp,
            "fn": self.fn,
        }


@dataclass(kw_only=True, slots=True)
class Tally:
    """What was counted in some rows. ``micro`` sums ``types``."""

    types: defaultdict[str, Counts] = field(default_factory=lambda: defaultdict(Counts))
    labels: int = 0
    covered: int = 0
    negatives: int = 0
    negatives_hit: int = 0
    chars: int = 0
    false: int = 0

    def add(self, other: Tally) -> None:
        """Add another tally to this one."""
        for type, counts in other.types.items():
            self.types[type].add(counts)
        for name in ("labels", "covered", "negatives", "negatives_hit", "chars", "false"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def micro(self) -> Counts:
        """All types together."""
        total = Counts()
        for counts in self.types.values():
            total.add(counts)
        return total

    @property
    def row_fpr(self) -> float:
        """Rows without a label in which something was found, among rows without a label."""
        return _ratio(self.negatives_hit, self.negatives)

    @property
    def fp_per_10k_chars(self) -> float:
        """False positives in 10,000 characters."""
        return _ratio(self.false * PER, self.chars)

    def as_dict(self) -> dict[str, Any]:
        """What ``--json`` shows for one file."""
        return {
            "types": {name: counts.as_dict() for name, counts in sorted(self.types.items())},
            "micro": {**self.micro.as_dict(), "covered": round(_ratio(self.covered, self.labels), 4)},
            "row_fpr": round(self.row_fpr, 4),
            "fp_per_10k_chars": round(self.fp_per_10k_chars, 4),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """How rows are scored.

    ``counted`` are the types whose findings and labels count (what the detector can report); ``coverable`` says which
    labels must be covered, by default every labelled type but ``beyond`` (names and places, which need a model).
    ``rules``: the rows' scopes are names of rules, not of types (secrets). ``general`` are recognizers that answer to
    no single rule: in a row that is a counter-example of one rule, what they find says nothing.
    """

    counted: Collection[str]
    beyond: Collection[str] = ()
    rules: bool = False
    general: Collection[str] = ()

    def tally(self, rows: Iterable[Row], detector: Detector) -> Tally:
        """Detect in every row and count. Raises whatever the detector raises."""
        total = Tally()
        for row in rows:
            score_row(row, detector.detect(row.text), self, total)
        return total


def score_row(row: Row, findings: Sequence[Finding], rules: Scores, into: Tally) -> None:
    """Add one row's counts to ``into``."""
    scope = None if rules.rules else row.scope
    seen = [f for f in findings if f.type in rules.counted and (scope is None or f.type in scope)]
    labels = [label for label in row.labels if not label.maybe and label.type in rules.counted]
    free = _hit(row, seen, labels, into.types)
    wrong = [finding for finding in free if _wrong(row, finding, rules)]
    for finding in wrong:
        into.types[finding.type].fp += 1
    into.false += len(wrong)
    into.chars += len(row.text)
    wanted = [label for label in row.labels if not label.maybe and label.type not in rules.beyond]
    into.labels += len(wanted)
    into.covered += sum(_covered(label, findings) for label in wanted)
    if not row.labels:
        into.negatives += 1
        into.negatives_hit += bool(wrong)


def _hit(row: Row, seen: list[Finding], labels: list[Label], types: Mapping[str, Counts]) -> list[Finding]:
    """Count hits and misses; the findings that are left over. The best overlap is taken first."""
    pairs = sorted(
        (
            (-_overlap(label, finding), j, i)
            for j, label in enumerate(labels)
            for i, finding in enumerate(seen)
            if finding.type == label.type and _same(label, finding, exact=row.exact_spans)
        ),
    )
    taken_labels: set[int] = set()
    taken: set[int] = set()
    for _, j, i in pairs:
        if j not in taken_labels and i not in taken:
            taken_labels.add(j)
            taken.add(i)
    for j, label in enumerate(labels):
        if j in taken_labels:
            types[label.type].tp += 1
        else:
            types[label.type].fn += 1
    if not row.exact_spans:  # a marked line may hold several findings
        taken.update(
            i for i, f in enumerate(seen) if any(_overlap(label, f) and label.type == f.type for label in labels)
        )
    return [finding for i, finding in enumerate(seen) if i not in taken]


def _wrong(row: Row, finding: Finding, rules: Scores) -> bool:
    if any(label.maybe and _overlap(label, finding) for label in row.labels):
        return False
    if any(label.type not in rules.counted and _same(label, finding, exact=True) for label in row.labels):
        return False
    if rules.rules and row.scope is not None and finding.recognizer in rules.general and not _generic(row.scope):
        return False
    return not (row.whole_only and not row.labels and not _whole(row.text, finding))


def _generic(scope: Collection[str]) -> bool:
    return any("generic" in rule or "keyword" in rule or "entropy" in rule for rule in scope)


def _whole(text: str, finding: Finding) -> bool:
    """Whether the finding is a whole value: all of the text, or all that stands between two blanks of a sentence."""
    inside = text[finding.start : finding.end]
    if inside.strip() == text.strip():
        return True
    if not any(char.isspace() for char in text.strip()):
        return False
    left = text[: finding.start].rsplit(maxsplit=1)
    glued_left = finding.start > 0 and not text[finding.start - 1].isspace() and bool(left)
    rest = text[finding.end :]
    glued_right = bool(rest) and not rest[0].isspace() and rest.strip() not in {".", "!", "?"} and rest[:2] != ". "
    return not glued_left and not glued_right


def _same(label: Label, finding: Finding, *, exact: bool) -> bool:
    overlap = _overlap(label, finding)
    longer = max(label.end - label.start, finding.end - finding.start)
    return overlap > 0 and (not exact or 2 * overlap >= longer)


def _overlap(label: Label, finding: Finding) -> int:
    return max(0, min(label.end, finding.end) - max(label.start, finding.start))


def _covered(label: Label, findings: Sequence[Finding]) -> bool:
    """Whether findings of any type overlap at least half of the label."""
    reached, total = label.start, 0
    for finding in sorted(findings, key=lambda f: f.start):
        start, end = max(finding.start, reached), min(finding.end, label.end)
        if start < end:
            total += end - start
            reached = end
    return 2 * total >= label.end - label.start


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
