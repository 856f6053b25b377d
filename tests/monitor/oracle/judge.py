"""A judge looks through one monitor's eyes, at its own pace, and compares what it sees with the truth."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from rlb.domain.stream_info import GroupInfo, StreamInfo
from tests.monitor.oracle.score import Score
from tests.monitor.oracle.subject import Subject, Way
from tests.monitor.oracle.truth import GroupTruth, StreamTruth, World, text

AGE_TOLERANCE_S = 0.25
PLAUSIBLE_MS = 946_684_800_000
"""The year 2000: an id below it holds no time, and the age of its entry may be unknown."""

Due = Callable[[int, random.Random], bool]

PACES: dict[str, tuple[Way, Due]] = {
    "every step": ("poll", lambda step, chance: True),
    "every 7th step": ("poll", lambda step, chance: step % 7 == 6),
    "at random": ("look", lambda step, chance: chance.random() < 0.3),
    "only once": ("first look", lambda step, chance: chance.random() < 0.3),
}
"""How a monitor is asked, and after which steps."""


class Judge:
    """Holds one monitor against the truth."""

    def __init__(self, world: World, pace: str, subject: Subject, version: tuple[int, int, int], seed: int) -> None:
        self.score = Score()
        self.pace = pace
        self._world = world
        self._subject = subject
        _, self._due = PACES[pace]
        self._random = random.Random(seed)
        self._step = -1
        self._knows_losses = version >= (7, 0, 0) and pace == "every step"

    def is_due(self) -> bool:
        """Whether this judge polls after the next step; to be asked once a step."""
        self._step += 1
        return self._due(self._step, self._random)

    async def poll(self, touched: str) -> None:
        """Compare every group of every stream; those of `touched` are samples."""
        begin_s = time.time()
        infos = {info.key: info for info in await self._subject.see()}
        end_s = time.time()
        for key, truth in self._world.streams.items():
            info = infos.pop(key, None)
            if info is None or not truth.exists:
                if truth.exists or info is not None:
                    self.score.find(f"{key}: told {'gone' if info is None else 'there'}, is not")
                continue
            self._compare(key, truth, info, key == touched, (begin_s, end_s))
        if infos:
            self.score.find(f"streams that are none: {sorted(infos)}")

    def _compare(
        self, key: str, truth: StreamTruth, info: StreamInfo, is_sample: bool, polled_s: tuple[float, float]
    ) -> None:
        told = {group.group: group for group in info.groups}
        if set(told) != set(truth.groups) or info.length != len(truth.entries):
            self.score.find(
                f"{key}: told {sorted(told)}, length {info.length}; are {sorted(truth.groups)}, {len(truth.entries)}"
            )
            return
        for name, group in truth.groups.items():
            mistakes = self._mistakes(truth, group, told[name], polled_s, is_sample)
            if mistakes:
                self.score.find(
                    f"{key} {name} at {text(group.at)}: {'; '.join(mistakes)} (Redis says lag {group.server_lag})"
                )
            if is_sample:
                self._count(group, told[name])

    def _mistakes(
        self, stream: StreamTruth, group: GroupTruth, told: GroupInfo, polled_s: tuple[float, float], is_sample: bool
    ) -> list[str]:
        """What is wrong.

        Where counters were set by hand, the server's number may be, and losses that it tells of. Who does not look all
        the time may take for lost what was read before a position was set back, or before a name was taken anew.
        """
        is_forged = stream.is_forged or group.is_forged
        is_hidden = self.pace != "every step" and (group.is_told or group.is_moved or group.is_heir)
        lag, losses = _wrong_lag(group, told), self._wrong_losses(group, told)
        is_lag_misled = bool(lag) and is_forged and told.lag_quality == "server"
        is_loss_misled = bool(losses) and (is_forged or is_hidden)
        self.score.misled += is_sample and (is_lag_misled or is_loss_misled)
        return [
            *_wrong_age(group, told, polled_s),
            *([] if is_lag_misled else lag),
            *([] if is_loss_misled else losses),
        ]

    def _wrong_losses(self, group: GroupTruth, told: GroupInfo) -> list[str]:
        is_told_of_both = group.is_unseen_heir or (group.is_heir and self.pace not in ("every step", "only once"))
        most = group.lost_by_name if is_told_of_both else group.lost
        if told.lost_unread is not None and not 0 <= told.lost_unread <= most:
            return [f"lost_unread {told.lost_unread}, are {most} at most"]
        return []

    def _count(self, group: GroupTruth, told: GroupInfo) -> None:
        score = self.score
        score.samples += 1
        score.qualities[told.lag_quality] += 1
        if told.lag is not None and told.lag_upper_bound is not None:
            score.bound_width = max(score.bound_width, told.lag_upper_bound - told.lag)
        if self._knows_losses and not group.is_moved and not group.is_unseen_heir:
            score.losses += 1
            score.losses_true += group.lost
            score.losses_told += told.lost_unread or 0
            score.losses_unknown += told.lost_unread is None
            score.losses_equal += told.lost_unread == group.lost


def _wrong_lag(group: GroupTruth, told: GroupInfo) -> list[str]:
    lag, most = told.lag, told.lag_upper_bound
    says = f"lag {lag} ({told.lag_quality}, at most {most}), is {group.lag}"
    if told.lag_quality == "unknown":
        return [f"{says}: unknown of a stream that is there"]
    if lag is None:
        return [f"{says}: no number"]
    if told.lag_quality == "bounded":
        return [] if most is not None and lag <= group.lag <= most else [says]
    return [] if lag == group.lag and (most is None or most >= lag) else [says]


def _wrong_age(group: GroupTruth, told: GroupInfo, polled_s: tuple[float, float]) -> list[str]:
    """The age of the oldest undelivered entry, by the clock in its id; none is 0 s."""
    age_s = told.lag_seconds
    if group.oldest is None:
        return [] if age_s == 0 else [f"lag_seconds {age_s} without lag"]
    ms = group.oldest[0]
    if age_s is None:
        return [] if ms < PLAUSIBLE_MS else ["lag_seconds unknown"]
    youngest_s, oldest_s = (max(0.0, at_s - ms / 1000) for at_s in polled_s)
    if youngest_s - AGE_TOLERANCE_S <= age_s <= oldest_s + AGE_TOLERANCE_S:
        return []
    return [f"lag_seconds {age_s}, are {youngest_s:.3f}"]
