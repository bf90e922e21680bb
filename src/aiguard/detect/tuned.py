"""The detector of each feature: the catalogue, what policy and application add to it, and what policy leaves out.

Everything is compiled once for all features; a feature's own detector only differs in thresholds, in the values it lets stay, and in
the models it asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from aiguard.detect.lists import Allowed, HashedTerms, denied
from aiguard.detect.models import Budgeted, Model, Together
from aiguard.detect.regions import regional_phones
from aiguard.errors import ConfigurationError
from aiguard.policy import Feature, Policy
from aiguard.policy.builtin import DENIED_TERM
from aiguard.policy.models import DetectRule
from aiguard.scan import Engine, Recognizer
from aiguard.scan.recognizer import check
from aiguard.types import Detector, Finding

OFF: Final = 2.0
"""A threshold that no score reaches."""


class Detectors:
    """The detectors of a policy's features.

    Args:
        policy: whose features, types and lists count.
        base: the detector that they start from, usually the built-in one.
        recognizers: the application's own, in Python; checked here.
        models: language models by the name that policy calls them.

    Raises:
        RecognizerError: one of ``recognizers`` cannot be used; the message names it and the remedy.
        ConfigurationError: policy names a model that is not there, or tunes a ``base`` that is not the built-in engine.
    """

    def __init__(
        self,
        policy: Policy,
        base: Detector,
        *,
        recognizers: Sequence[Recognizer] = (),
        models: Mapping[str, Model] | None = None,
    ) -> None:
        self._models = dict(models or {})
        for recognizer in recognizers:
            check(recognizer)
        own = [*recognizers, *(rule.recognizer(name) for name, rule in policy.recognizers.items())]
        if policy.phone_regions:
            own.append(regional_phones(policy.phone_regions))
        self._denied = {name: denied(feature.detect.deny, name) for name, feature in policy.features.items()}
        every = self._own = [*own, *(each for several in self._denied.values() for each in several)]
        floors = [low for feature in policy.features.values() if (low := _lowest(feature.detect)) is not None]
        if isinstance(base, Engine):
            lowest = min([base.threshold, *floors])
            if every or lowest < base.threshold:
                base = Engine((*base.recognizers, *every), threshold=lowest, lazy=True)
        elif every or any(not feature.detect.plain for feature in policy.features.values()):
            raise ConfigurationError(
                "policy tunes detection ([recognizers], phone_regions or detect), which only the built-in engine can obey; "
                "leave `detector` out and give language models by name with `models`"
            )
        self.base: Detector = self._everywhere(base)
        self.lines: Detector | None = self._of_all(base, policy) if isinstance(base, Engine) else None
        """For log lines, which are of no feature; None where neither policy nor the application adds anything to the detector given."""
        self._of = {name: self._tuned(base, feature) for name, feature in policy.features.items()}

    def of(self, feature: Feature) -> Detector:
        """The detector of one feature; that of none of them for a feature that policy does not have."""
        return self._of.get(feature.name, self.base)

    def _everywhere(self, base: Detector) -> Detector:
        """For texts of no feature: everything is looked for, but what single features deny."""
        if not isinstance(base, Engine):
            return base
        own = {each.name for several in self._denied.values() for each in several}
        floors = {each.name: OFF if each.name in own else max(base.threshold, 0.5) for each in base.recognizers}
        return base.tuned(floors) if own or base.threshold < 0.5 else base

    def _of_all(self, base: Engine, policy: Policy) -> Detector | None:
        """What any feature looks for, models left out, at the lowest threshold of any. A value that some may let stay is found."""
        rules = [feature.detect for feature in policy.features.values()]
        usual = max(base.threshold, 0.5)
        floors = {each.name: min([usual, *(_floor(rule, each) for rule in rules)]) for each in base.recognizers}
        lists = [HashedTerms(rule.deny.hashed) for rule in rules if rule.deny.hashed]
        if not (self._own or lists) and all(floor == usual for floor in floors.values()):
            return None
        tuned = base.tuned(floors)
        return Together([tuned, *lists], tuned.types.union(*(each.types for each in lists)))

    def _tuned(self, base: Detector, feature: Feature) -> Detector:
        rule = feature.detect
        tuned = base
        if isinstance(base, Engine):
            mine = {each.name for each in self._denied[feature.name]}
            floors = {
                each.name: OFF
                if each.type == DENIED_TERM and each.name.startswith("deny:") and each.name not in mine
                else _floor(rule, each)
                for each in base.recognizers
            }
            allowed = None if rule.allow.empty else Allowed(rule.allow)
            if allowed is not None or any(floor != base.threshold for floor in floors.values()):
                tuned = base.tuned(floors, allowed=allowed)
        others: list[Detector] = []
        if rule.deny.hashed:
            others.append(HashedTerms(rule.deny.hashed))
        for name in rule.models:
            if name not in self._models:
                raise ConfigurationError(
                    f"policy's feature {feature.name} asks for the model {name!r}; give it with models={{{name!r}: …}}"
                )
            others.append(_Chosen(self._models[name], name, rule))
        if not others:
            return tuned
        return Together([tuned, *others], {type for each in (tuned, *others) for type in each.types})


class _Chosen:
    """A model, of whose findings policy's thresholds and lists leave some out."""

    def __init__(self, model: Model, name: str, rule: DetectRule) -> None:
        go_on = rule.on_timeout == "patterns-only"
        self._model = Budgeted(model, name=name, seconds=rule.budget_ms / 1000, go_on=go_on, min_score=0.0)
        self._rule = rule
        self._allowed = None if rule.allow.empty else Allowed(rule.allow)
        self.types = frozenset(type for type in model.types if _threshold(rule, type) <= 1)

    def detect(self, text: str, *, context: str = "") -> list[Finding]:
        """The model's findings that policy asks for."""
        return [
            finding
            for finding in self._model.detect(text, context=context)
            if finding.score >= _threshold(self._rule, finding.type)
            and not (self._allowed and self._allowed(finding.type, text[finding.start : finding.end]))
        ]


def _threshold(rule: DetectRule, type: str) -> float:
    if type != DENIED_TERM and (type in rule.exclude or (rule.only and type not in rule.only)):
        return OFF
    return rule.scores.get(type, 0.5 if rule.min_score is None else rule.min_score)


def _floor(rule: DetectRule, recognizer: Recognizer) -> float:
    return 0.5 if recognizer.type == DENIED_TERM else _threshold(rule, recognizer.type)


def _lowest(rule: DetectRule) -> float | None:
    asked = [*rule.scores.values(), *([] if rule.min_score is None else [rule.min_score])]
    return min(asked, default=None)
