"""One history on one server: a workload, the truth, and monitors that watch it at different paces."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from tests.monitor.oracle.judge import PACES, Judge
from tests.monitor.oracle.profiles import Profile
from tests.monitor.oracle.score import RedisScore, Score
from tests.monitor.oracle.subject import watching
from tests.monitor.oracle.truth import World
from tests.monitor.oracle.wire import Wire
from tests.monitor.oracle.workload import Step, Workload, take
from tests.servers.process import RedisServer

SERVER_CONFIG = ("stream-node-max-entries 10",)
"""Small nodes, so that `~` trims short streams too."""


@dataclass(frozen=True)
class Moment:
    """A step, and the paces of the monitors that polled after it."""

    step: Step
    polls: frozenset[str]

    def __str__(self) -> str:
        return f"{self.step.key} {self.step}" + (f"   <- polled: {', '.join(sorted(self.polls))}" if self.polls else "")


@dataclass
class Outcome:
    """What a history came to. `moments` are kept up to the first mistake."""

    server: str
    profile: str
    seed: int
    redis: RedisScore = field(default_factory=RedisScore)
    monitors: dict[str, Score] = field(default_factory=dict)
    moments: list[Moment] = field(default_factory=list)
    first_wrong: list[str] = field(default_factory=list)
    """The paces of the monitors that were wrong then."""

    @property
    def wrong_now(self) -> list[str]:
        return [pace for pace, score in self.monitors.items() if score.wrong]

    @property
    def is_right(self) -> bool:
        return not self.wrong_now

    def report(self, last: int = 12) -> str:
        """What was wrong, and the steps that led to the first of it."""
        findings = [f"  {pace}: {finding}" for pace, score in self.monitors.items() for finding in score.findings[:4]]
        title = f"{self.server}, {self.profile}, seed {self.seed}, wrong after step {len(self.moments)}:"
        return "\n".join([title, *findings, "the steps before:", *(f"  {moment}" for moment in self.moments[-last:])])


@asynccontextmanager
async def _judged(
    server: RedisServer, keys: Sequence[str], paces: Sequence[str], seed: int
) -> AsyncIterator[tuple[World, dict[str, Judge]]]:
    """An emptied server's world, and a judge of each pace."""
    server.reset()
    async with AsyncExitStack() as at_exit:
        world = World(at_exit.enter_context(Wire(server)), list(keys))
        judges = {}
        for pace in paces:
            way, _ = PACES[pace]
            subject = await at_exit.enter_async_context(watching(server, keys, way))
            judges[pace] = Judge(world, pace, subject, server.kind.version, seed)
        yield world, judges


async def live(server: RedisServer, profile: Profile, seed: int, samples: int) -> Outcome:
    """A history of about so many samples, on an emptied server."""
    keys = [f"llm:stream:s-{number}:m-{number % 2}" for number in range(profile.keys)]
    outcome = Outcome(server.kind.name, profile.name, seed)
    async with _judged(server, keys, list(PACES), seed) as (world, judges):
        outcome.monitors = {pace: judge.score for pace, judge in judges.items()}
        workload = Workload(world, profile, server.kind.version, seed)
        while outcome.redis.samples < samples:
            step = workload.step()
            polls = frozenset(pace for pace, judge in judges.items() if judge.is_due())
            if outcome.is_right:
                outcome.moments.append(Moment(step, polls))
            for group in world.streams[step.key].groups.values():
                outcome.redis.add(group)
            for pace in polls:
                await judges[pace].poll(step.key)
            outcome.first_wrong = outcome.first_wrong or outcome.wrong_now
    return outcome


async def live_again(server: RedisServer, moments: Sequence[Moment], paces: Sequence[str]) -> Outcome:
    """A history that is known, up to the first mistake that the monitors of these paces make."""
    outcome = Outcome(server.kind.name, "again", 0)
    keys = sorted({moment.step.key for moment in moments})
    async with _judged(server, keys, paces, 0) as (world, judges):
        outcome.monitors = {pace: judge.score for pace, judge in judges.items()}
        for moment in moments:
            take(world, moment.step)
            outcome.moments.append(moment)
            for pace in moment.polls & judges.keys():
                await judges[pace].poll(moment.step.key)
            if not outcome.is_right:
                break
    return outcome
