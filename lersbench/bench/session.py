"""Playing the contenders of one log: all in memory where it fits, else side by side over one pass of the stream."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import takewhile
from typing import Any, NamedTuple

import numpy as np
from numba.core.errors import NumbaError

from lersbench import metrics
from lersbench.bench import scenario
from lersbench.bench.curves import Curves, joined
from lersbench.bench.series import Job
from lersbench.columns import DRAWS
from lersbench.engine import ahead
from lersbench.engine.contender import Contender, is_lazy
from lersbench.engine.delays import waiting_at_most
from lersbench.engine.layout import layout_of
from lersbench.engine.likes import Likes
from lersbench.engine.loop import compiled
from lersbench.engine.meter import COVERAGE, with_room
from lersbench.engine.play import play, protocol_of
from lersbench.engine.rounds import Protocol
from lersbench.engine.rows import Background, Rows, count_offers, rows_of
from lersbench.errors import LersbenchError, RunError
from lersbench.feedback import REGIMES
from lersbench.log import Log, read_all
from lersbench.log.chunk import Chunk
from lersbench.log.history import NEEDS, arrays_for
from lersbench.log.names import feature_names, item_ids, request_ids
from lersbench.log.reward import reward_of
from lersbench.log.scaling import scaled
from lersbench.policy import KernelPolicy, Policy, Spec
from lersbench.system.workers import OVERTIME

KEEP_BYTES = 64 << 20  # a log of up to this size is held in memory where many contenders play it
SHUFFLE_BYTES = 2 << 30  # the largest log that can be shuffled
CHUNK_BYTES = 8 << 20  # decoded bytes of a streamed chunk: what is read is still in the cache when it is played
WAVE = 32  # runs that share a pass over a streamed log
SLICE = 4_000  # rounds a log in memory is played in at a time, so that progress shows and Ctrl-C is heard
ENOUGH = 3  # seeds of a job that may fail before the others are not tried
NOT_TRIED = "not played, since others of its seeds failed: {}"

Keep = Callable[[Job, Curves], object]  # takes the curves of a job, of the seeds that did not fail


class Clock:
    """Seconds by purpose."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, purpose: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[purpose] += time.perf_counter() - start


def spec_of(chosen: scenario.Scenario, log: Log, case: scenario.Case, background: Background | None = None) -> Spec:
    """What policies know before the first round; `background` is what was fitted to the log: click models, scales."""
    info, pair = log.info, chosen.replay.interactions
    m = (1 + pair[0]) * (1 + pair[1]) if pair else info.m
    wide = info.L if REGIMES[case.feedback].listed else info.C
    rounds = info.rounds - chosen.replay.fit
    fitted = (background.examination, background.examination_after) if background else ()
    items = background.items if background else log.items
    called = {kind: names for kind, names in feature_names(info).items() if kind != "features" or not pair}
    spec = Spec(info.items, wide, case.slate, info.d, m, rounds, info.users, items, *fitted)
    return replace(spec, item_ids=item_ids(log), request_ids=request_ids(log), feature_names=called)


def random_numbers(chosen: scenario.Scenario, purpose: str, replicate: int, policy: str = "") -> np.random.SeedSequence:
    """The root of the random numbers for one purpose: a tree keyed by (scenario, policy, replicate, purpose).

    Draws of the environment leave `policy` out, so they are common to all policies.
    """
    name = hashlib.sha256(json.dumps([chosen.name, policy, replicate, purpose]).encode()).digest()
    return np.random.SeedSequence([chosen.seed, *np.frombuffer(name, np.uint32).tolist()])


class Session:
    """All contenders of one case: a log, a regime, a slate size."""

    def __init__(
        self,
        chosen: scenario.Scenario,
        log: Log,
        case: scenario.Case,
        background: Background,
        threads: int,
        bar: Any,
        clock: Clock,
    ):
        self.chosen, self.log, self.case, self.background = chosen, log, case, background
        self.regime = REGIMES[case.feedback]
        self.reward = reward_of(log.info, chosen.replay.reward)
        delay = chosen.replay.delay
        times = ("time", *([self.regime.known] if delay == "logged" else []))
        self.columns = (*self.regime.columns, *self.reward.columns, *times)
        self.threads, self.bar, self.clock = threads, bar, clock
        self.spec = spec_of(chosen, log, case, background)
        self.first = chosen.replay.fit  # the rounds before it were for the click model
        self.rounds = log.info.rounds - self.first
        steps = np.linspace(0, self.rounds, min(chosen.replay.checkpoints, self.rounds) + 1)[1:]
        self.checkpoints = np.unique(np.round(steps).astype(np.int64))
        self.stop = threading.Event()
        self.timeout: float | None = None  # seconds of a contender
        self.likes = Likes()

    def play(self, jobs: list[Job], keep: Keep) -> list[Failure]:
        """Play the jobs and call `keep` with their curves, in several threads; returns the seeds that failed."""
        with self.clock("compile"):
            self.log.prepare()
        if not self._is_held(sum(len(job.seeds) for job in jobs) > WAVE):
            return self._streamed(jobs, keep)
        with self.clock("read"):
            rows = self._all
        ready, failures = self._compile(jobs, rows)
        with self.clock("replay"), ThreadPoolExecutor(self.threads) as pool:  # each is made when its turn comes
            futures = [pool.submit(self._play_seeds, job, rows, keep) for job in ready]
            self._wait_for(futures)
        return [*failures, *(failure for future in futures for failure in future.result())]

    def play_one(self, job: Job) -> tuple[list[Curves], list[tuple[int, str]]]:
        """Play a job in this thread, after which others of its case may come: its curves, and why seeds failed."""
        self.log.prepare()
        kept: list[Curves] = []
        if not self._is_held(many=True):
            failures = self._pass([job], lambda job, curves: kept.append(curves))
        else:
            failures = self._play_seeds(job, self._all, lambda job, curves: kept.append(curves))
        return kept, [(failure.seed, failure.problem) for failure in failures]

    def _is_held(self, many: bool) -> bool:
        """Is the log held in memory as a whole, where contenders are `many` or few?"""
        if self.chosen.replay.delay is not None:
            return True  # a round that waits is read again when its feedback comes
        decoded = self.log.row_bytes(self.columns) * self.log.info.rounds
        return self.chosen.replay.replicates == "shuffle" or (many and decoded <= KEEP_BYTES)

    @cached_property
    def _all(self) -> Rows:
        return self.rows_for(read_all(self.log, SHUFFLE_BYTES, self.columns))

    def _play_seeds(self, job: Job, rows: Rows, keep: Keep) -> list[Failure]:
        """Play the seeds of a job one after the other; those that failed."""
        curves: list[Curves] = []
        failures: list[Failure] = []
        for seed in job.seeds:
            if len(failures) >= ENOUGH:
                failures.append(Failure(job, seed, NOT_TRIED.format(failures[ENOUGH - 1].problem)))
                continue
            try:
                curves.append(self._played(job, seed, rows))
            except CancelledError:
                raise
            except (Exception, SystemExit) as error:
                failures.append(Failure(job, seed, _problem(error)))
        if curves:
            keep(job, joined(curves))
        return failures

    def _played(self, job: Job, seed: int, rows: Rows) -> Curves:
        """One seed of a job on all rows; the time for compiling its loop, where that is not done yet, is no part."""
        index, at = self._order(seed, 0, self.log.info.rounds)
        batch = self.chosen.replay.batch
        started = time.perf_counter()
        contender = self._contender(job, seed)
        compiling = time.perf_counter()
        contender.play(rows, index[:0], at[:0])
        started += time.perf_counter() - compiling

        def after(contender: Contender, places: np.ndarray) -> None:
            self.bar.update(places.size)
            self._in_time(time.perf_counter() - started)
            if self.stop.is_set():
                raise CancelledError

        step = -(-self._slice(job) // batch) * batch  # whole batches
        play(contender, rows, index, at, self.rounds, step, after)
        self.bar.update(self.rounds - index.size)
        return self._curves(job, _Run(seed, contender, time.perf_counter() - started))

    def _slice(self, job: Job) -> int:
        """The rounds between two looks at the clock; those of networks take long."""
        return SLICE if isinstance(job.entry.policy, KernelPolicy) else max(1, self.rounds // 40)

    def _streamed(self, jobs: list[Job], keep: Keep) -> list[Failure]:
        """Side by side, a wave of runs over each pass of the log."""
        failures: list[Failure] = []
        wave: list[Job] = []
        for job in jobs:
            if wave and sum(len(each.seeds) for each in (*wave, job)) > WAVE:
                failures += self._pass(wave, keep)
                wave = []
            wave.append(job)
        return failures + (self._pass(wave, keep) if wave else [])

    def _pass(self, jobs: list[Job], keep: Keep) -> list[Failure]:
        """One pass over the log; the next chunk is read while this one is played."""
        runs: dict[tuple[Job, int], _Run] = {}
        failures: list[Failure] = []
        with ThreadPoolExecutor(self.threads) as pool, ThreadPoolExecutor(1) as reader:
            chunks = self.log.read(CHUNK_BYTES, multiple=self.chosen.replay.batch, columns=self.columns)
            ahead = reader.submit(next, chunks, None)
            while True:
                with self.clock("read"):
                    chunk = ahead.result()
                if chunk is None:
                    break
                ahead = reader.submit(next, chunks, None)
                rows = self.rows_for(chunk)
                if chunk.start == 0:
                    ready, failures = self._compile(jobs, rows)
                    runs = {(job, s): _Run(s, self._contender(job, s), 0.0) for job in ready for s in job.seeds}
                with self.clock("replay"):
                    futures = {pool.submit(self._part, run, rows, chunk): which for which, run in runs.items()}
                    self._wait_for(futures)
                for future, which in futures.items():
                    if error := future.exception():
                        failures.append(Failure(*which, _problem(error)))
                        del runs[which]
        for job in jobs:
            finished = [run for (of, _), run in runs.items() if of is job]
            for run in finished:
                run.contender.finish(self.rounds)
            if finished:
                keep(job, joined([self._curves(job, run) for run in finished]))
        return failures

    def _part(self, run: _Run, rows: Rows, chunk: Chunk) -> None:
        index, at = self._order(run.seed, chunk.start, rows.user.shape[0])
        started = time.perf_counter()
        contender = run.contender
        contender.meter = with_room(contender.meter, self.likes.total)
        contender.play(rows, index, at)
        run.seconds += time.perf_counter() - started
        self._in_time(run.seconds)
        self.bar.update(rows.user.shape[0])

    def _in_time(self, seconds: float) -> None:
        if self.timeout is not None and seconds > self.timeout:
            raise RunError(OVERTIME.format(self.timeout))

    def _wait_for(self, futures: Collection[Future[Any]]) -> None:
        """Wait for all of them; Ctrl-C stops the others within a slice."""
        waiting = set(futures)
        try:
            while waiting:
                waiting = wait(waiting, timeout=0.2).not_done  # to wait for the first each time is quadratic
        except BaseException:
            self.stop.set()
            for future in waiting:
                future.cancel()
            raise

    def rows_for(self, chunk: Chunk) -> Rows:
        """The chunk as the regime shows it. Reading has checked that a log that calls itself uniform is so."""
        likes = self.chosen.replay.ranking or self._counts_likes
        chunk = scaled(chunk, self.background.scales)
        rows = rows_of(chunk, self.background, self.regime.name, self.case.slate, likes, self._mix, self.reward)
        if self._counts_ages:
            rows = self._aged(rows, chunk.start)
        return self._numbered(rows, max(0, self.first - chunk.start)) if self._counts_likes else rows

    def of_candidates(self, chunk: Chunk, values: np.ndarray) -> np.ndarray:
        """What a chunk has for each candidate, (N,) end to end in the order in which `rows_for` has them."""
        return layout_of(chunk, self.regime, self._mix).of_candidates(values.reshape(-1))

    def _aged(self, rows: Rows, start: int) -> Rows:
        """The rows with the number of rounds that each candidate was on offer in before."""
        if start == 0:
            self._offers = np.zeros(self.log.info.items, np.int64)
        age = np.empty(rows.candidates.shape[0], np.int32)
        count_offers(rows.candidates, self._offers, age)
        return rows._replace(age=age)

    @property
    def _counts_ages(self) -> bool:
        """Do items come and go, in an order that means something?"""
        return self.log.info.order == "time" and "candidates" in self.log.info.columns

    @cached_property
    def _waiting(self) -> int:
        """How many rounds can be under way at once where feedback is delayed."""
        rows = self._all
        last = rows.time + self._delay
        if rows.known.size:
            last = np.maximum.reduceat(rows.known, (rows.top if self.regime.replayed else rows.first)[:-1])
        return waiting_at_most(rows.time, last)

    @property
    def _delay(self) -> int:
        """Microseconds after its round, where the log does not say when what is known."""
        delay = self.chosen.replay.delay
        return 0 if delay in (None, "logged") else scenario.microseconds(delay)

    def _numbered(self, rows: Rows, skipped: int) -> Rows:
        """The rows with the numbers of their likes, but for the first `skipped`, which are not replayed."""
        row = np.repeat(np.arange(rows.user.shape[0]), np.diff(rows.liked_from))
        item = rows.candidates[rows.own * rows.first[row] + rows.liked]
        pairs = rows.user[row] * self.log.info.items + item
        first = rows.liked_from[min(skipped, rows.user.shape[0])]
        number = np.full(pairs.shape[0], -1, np.int32)
        number[first:] = self.likes.numbers(pairs[first:])
        return rows._replace(number=number)

    @cached_property
    def _mix(self) -> int | None:
        """The key of the order of candidates in a round, the same for all seeds; None where all items are on offer."""
        if "candidates" not in self.log.info.columns and not self.regime.listed:
            return None
        return self._number("candidates", 0)

    @property
    def _counts_likes(self) -> bool:
        return self.regime.ranked and self.log.info.users > 0

    def _order(self, seed: int, start: int, rounds: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows of a chunk this replicate plays, and their places in its log; two seeds play each half of a log."""
        kind, skipped = self.chosen.replay.replicates, min(rounds, max(0, self.first - start))
        index = np.arange(skipped, rounds)
        if kind == "shuffle":
            rng = np.random.default_rng(random_numbers(self.chosen, "order", seed))
            return skipped + rng.permutation(index.size), np.arange(index.size)
        if kind == "subsample":
            bits = np.random.PCG64(random_numbers(self.chosen, "order", seed // DRAWS))
            bits.advance(start + skipped)  # one number a row of the log, whatever the chunks
            index = index[np.random.Generator(bits).random(index.size) < 0.5]
        return index, start + index - self.first

    def protocol_for(self, seed: int, policy: Policy) -> Protocol:
        replay, composed = self.chosen.replay, "features" in policy.needs
        scored = self.background.scored and "scores" in self.log.info.columns
        reward = self.reward
        scaled = not reward.is_click and policy.unit_rewards
        return protocol_of(
            self.regime,
            self.case.slate,
            replay.batch,
            ties=self._number("ties", seed),
            ranking=replay.ranking,
            interactions=replay.interactions if composed else None,
            silence=policy.silence,
            truth=self.regime.listed and self.background.model.weights.shape[0] > 0 and reward.is_click,
            weighed=self.regime.weighed and (self.background.uniform or scored),
            charged=int(self.regime.weighed and replay.charge == "logged"),
            bracketed=self.regime.weighed and self.background.carried.weights.size > 0 and reward.low >= 0,
            shows_the_log=policy.shows_the_log and self.regime.listed,
            similar=self.case.slate > 1 and self.spec.m > 0 and (composed or not replay.interactions),
            draws=self._number("clicks", seed),
            delayed=replay.delay is not None,
            delay=self._delay,
            clicked=reward.is_click,
            low=reward.low if scaled else 0.0,
            span=reward.high - reward.low if scaled else 0.0,
        )

    def _number(self, purpose: str, seed: int) -> int:
        return int(random_numbers(self.chosen, purpose, seed).generate_state(1)[0])

    def _compile(self, jobs: list[Job], rows: Rows) -> tuple[list[Job], list[Failure]]:
        """Compile the loops of the jobs for rows of this kind: those that can be played, and what failed."""
        with self.clock("compile"):
            ahead.compile_all(self._loops(jobs), self.threads)
        none = np.empty(0, np.int64)
        problems: dict[str, BaseException | None] = {}
        for job in jobs:
            kind = job.entry.label
            if kind not in problems:
                self.bar.set_description_str(f"compiling {job.entry.name}")
                with self.clock("compile"):
                    try:
                        self._contender(job, job.seeds[0]).play(rows, none, none)
                        problems[kind] = None
                    except (Exception, SystemExit) as problem:
                        problems[kind] = problem
        self.bar.set_description_str(" ".join(filter(None, [self.chosen.name, self.case.label])))
        failed = [(job, error) for job in jobs if (error := problems[job.entry.label])]
        failures = [Failure(job, seed, _problem(error)) for job, error in failed for seed in job.seeds]
        return [job for job in jobs if not problems[job.entry.label]], failures

    def _loops(self, jobs: list[Job]) -> dict[Callable[..., None], ahead.Loop]:
        """The loops of the jobs' policies, of those that come with the package and are compiled."""
        self.bar.set_description_str("compiling")
        loops: dict[Callable[..., None], ahead.Loop] = {}
        for job in {job.entry.label: job for job in jobs}.values():
            policy = job.entry.policy
            if isinstance(policy, KernelPolicy) and type(policy).__module__.startswith("lersbench.policies."):
                protocol = self.protocol_for(job.seeds[0], policy)
                drive = compiled(type(policy), is_lazy(policy, protocol), protocol.delayed)
                loops.setdefault(drive, ahead.Loop(job.entry.name, job.entry.params, self.spec_for(policy), protocol))
        return loops

    def _contender(self, job: Job, seed: int) -> Contender:
        policy = job.entry.policy
        name = json.dumps([type(policy).__qualname__, job.entry.params], sort_keys=True)  # however it was found
        rng = np.random.default_rng(random_numbers(self.chosen, "policy", seed, name))
        likes = max(1, self.likes.total) if self._counts_likes else 0
        protocol = self.protocol_for(seed, policy)
        waiting = self._waiting if protocol.delayed else 0
        spec = self.spec_for(policy)
        return Contender(policy, spec, protocol, rng, self.checkpoints, likes, self._published, waiting)

    def spec_for(self, policy: Policy) -> Spec:
        """What this policy knows before the first round."""
        composed = "features" in policy.needs
        spec = replace(self.spec, m=0) if self.chosen.replay.interactions and not composed else self.spec
        needs = tuple(need for need in NEEDS if need in policy.needs)
        return replace(spec, history=self._history(needs)) if needs else spec

    def _history(self, needs: tuple[str, ...]) -> dict[str, np.ndarray]:
        if needs not in self._histories:
            arrays = arrays_for(needs, self.log.user_table(), self.log.item_table())
            for array in arrays.values():
                array.flags.writeable = False  # all contenders read the same
            self._histories[needs] = arrays
        return self._histories[needs]

    @cached_property
    def _published(self) -> np.ndarray | None:
        """(n_items,) the place of each item in the file of the study a log is made after, where the log keeps it."""
        table = self.log.item_table()
        return table["published_rank"].to_numpy(np.int64) if "published_rank" in table else None

    @cached_property
    def _histories(self) -> dict[tuple[str, ...], dict[str, np.ndarray]]:
        return {}

    def _curves(self, job: Job, run: _Run) -> Curves:
        """What one seed of a job has come to."""
        meter = run.contender.meter
        values = meter.curve[None].copy()
        if self._counts_likes:
            values[:, :, COVERAGE] /= max(1, self.likes.total)
        spent = np.array([run.seconds]), np.array([run.contender.played])
        about = {"policy": job.entry.label}
        return Curves(np.array([run.seed]), self.checkpoints, metrics.NAMES, values, meter.blocks[None], *spent, about)


@dataclass
class _Run:
    """One seed of a job under way."""

    seed: int
    contender: Contender
    seconds: float


class Failure(NamedTuple):
    """A seed of a job that could not be played, and why."""

    job: Job
    seed: int
    problem: str


def _problem(error: BaseException) -> str:
    """What went wrong, and where: of a compiler's pages of context, what stands before the first of it."""
    what = str(error).strip()
    if isinstance(error, LersbenchError):
        return what
    if isinstance(error, NumbaError):
        lines = [line for line in what.splitlines() if line.strip() and not line.startswith("Failed in nopython")]
        return "does not compile: " + "\n    ".join(takewhile(lambda x: not x.startswith("During"), lines))
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror or error}"
    last = traceback.extract_tb(error.__traceback__)[-1]
    name = f"{type(error).__name__}: {what}" if not isinstance(error, SystemExit) else f"called sys.exit({what})"
    return f"{name} ({last.filename}, line {last.lineno}: {last.line})"
