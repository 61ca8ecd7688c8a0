"""The evaluator's answers from the compiled policy: the same, at a cost that hardly depends on the number of rules."""

from __future__ import annotations

from kaudit_core.matcher._native import CompiledPolicy, PolicyMatcher
from kaudit_core.matcher.compiler import as_bytes
from kaudit_core.policy.evaluator import Evaluator
from kaudit_core.policy.types import Attributes, Policy, RequestAuditConfig


class CompiledEvaluator(Evaluator):
    """An Evaluator that looks rules up. Threads may share it: a look-up does not let go of the interpreter."""

    def __init__(self, policy: Policy, compiled: CompiledPolicy) -> None:
        super().__init__(policy)
        self._matcher = PolicyMatcher(compiled)

    def evaluate(self, attributes: Attributes) -> RequestAuditConfig:
        """Return the config of the first rule that matches, or the default: level None (M1)."""
        try:
            rule = self._rule(attributes)
        except UnicodeEncodeError:  # half a UTF-16 pair, which no request holds
            return super().evaluate(attributes)
        return self.default if rule is None else self.configs[rule]

    def _rule(self, asked: Attributes) -> int | None:
        what = (asked.verb, asked.namespace, asked.api_group, asked.resource, asked.subresource, asked.name, asked.path)
        user = None if asked.user is None else as_bytes(asked.user)
        groups, texts = tuple(map(as_bytes, asked.groups)), tuple(map(as_bytes, what))
        return self._matcher.match(user, groups, texts, asked.resource_request)
