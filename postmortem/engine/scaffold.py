"""A new rule and its test, which work as they are and wait for their texts."""

from __future__ import annotations

from postmortem.engine.lint import UNFILLED

_RULE = """\
# One smell, how it is found, and what a person should know of it. The condition is an example: replace it.
#
#   postmortem rules try 'val.loss > 1.2 * best(val.loss)' LOG   where a condition holds in a log, and on which numbers
#   postmortem rules check {id}.yaml                             mistakes, and what is not written yet
#   postmortem rules test {id}.yaml                              runs the cases of {id}.test.yaml
#   postmortem analyze LOG --rules {id}.yaml                     uses the rule
#
# docs/language.md and docs/functions.md say what an expression can say.
id: {id}
title: {todo} the smell in a few words
severity: warning   # error: the result cannot be trusted; warning: a person should act; info: worth knowing
params:             # numbers that a user may change in postmortem.toml, here written $rise
  rise: {{default: 0.2, help: Share by which the loss must be above its best.}}
each:               # a variable stands for every series that fits, one after the other
  loss: {{split: [val], role: loss, direction: min, what: a validation loss}}
needs:              # without these the rule is "not applicable", which is not the same as "clear"
  - {{that: count(loss) >= 5, else: "{{loss}} was evaluated fewer than 5 times", log: "{{loss}} more often"}}
when: loss > (1 + $rise) * best_so_far(loss)
for: 3 points       # or 200 steps, 2 epochs, 10 min, to the end
message: "{{loss}} was above its best so far for {{points}} points from {{here}} on"
evidence:           # each number shown leads to the line it was logged in
  "{{loss}}, there": loss
  "{{loss}}, best": best(loss)
finds: {todo} what the rule finds, in a sentence.
why: {todo} why that matters.
do:
  - {todo} the first thing to do about it.
wrong_when: {todo} when the finding does not hold, or does not matter.
"""

_TEST = """\
# `3+0.1x9` is 3 followed by nine steps of 0.1; `_` is a missing point, `nan` is NaN. The first point is epoch 1.
rule: {id}
cases:
  - name: rises far above its best and stays there
    given: {{val.loss: "1-0.1x5 0.9x4"}}
    fires: [{{metric: val.loss, from: 7}}]
  - name: falls all the time
    given: {{val.loss: "1-0.05x10"}}
    silent: true
  - name: only one point is high
    given: {{val.loss: "1-0.1x5 0.9 0.5-0.01x5"}}
    silent: true
  - name: too few points to say
    given: {{val.loss: "1 0.9 1.5"}}
    not_applicable: fewer than 5 times
  - name: not logged
    given: {{train.loss: "1-0.05x10"}}
    not_applicable: a validation loss is not logged
"""


def rule_text(rule_id: str) -> str:
    """The YAML of a new rule."""
    return _RULE.format(id=rule_id, todo=UNFILLED)


def cases_text(rule_id: str) -> str:
    """The YAML of its test."""
    return _TEST.format(id=rule_id)
