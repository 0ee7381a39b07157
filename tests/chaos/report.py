"""A run's result in a few lines."""

import os

from tests.chaos.run import Plan, Result


def of(plan: Plan, database: str, result: Result) -> str:
    verdict, diary = result.verdict, result.diary
    states = ", ".join(f"{number} {state}" for state, number in sorted(verdict.states.items()))
    faults = ", ".join(f"{number} {name}" for name, number in sorted(result.log.times.items()))
    missing = sorted(verdict.missing) or [0.0]
    text = f"""\
Seed {plan.seed} on {database}, {os.cpu_count()} cores, {result.seconds:.0f} s.
Generations: {sum(verdict.states.values())} ({states}).
Questions: {len(diary.questions)}, {diary.twice} of them sent twice; {diary.stopped} answers \
stopped, {diary.retried} retried, {diary.continued} continued, {verdict.handed_on} handed on; \
{diary.uncertain} requests without an answer.
Upstream: {verdict.calls} calls, {verdict.charges} charged, {verdict.matched} found in the table.
Faults: {faults}.
Pages: {result.pages}, which connected {result.connections} times; {verdict.endings} answers \
compared as they had grown and as they were in the end.
After kills: {len(verdict.missing)} texts lacked words: of {missing[-1]:.2f} s at most, of \
{missing[len(missing) // 2]:.2f} s in the median.
All was settled and every page right {result.returned:.1f} s after the last question."""
    if not verdict.broken:
        return f"{text}\nEvery promise was kept."
    broken = "\n".join(f"  {one}" for one in verdict.broken[:40])
    return f"{text}\nBROKEN ({len(verdict.broken)}):\n{broken}"
