"""The feedback regimes, one row each: what a policy is shown, what is scored, what a log must hold for it.

A new regime is a row here and its kernels in `engine`: how a chunk of the log is laid out for it, and how a round is
counted. What else depends on the regime (checks of a scenario, columns that are read, tables, figures, reports) asks
the row. The order of the rows is that of the rankings: what can be deployed comes first.
"""

from __future__ import annotations

from dataclasses import dataclass

CLICK = "click"  # the outcome that is learned from and counted, unless a scenario names another
ALWAYS = ("user", "context", "candidates", "features")  # columns read under every regime, where the log has them


@dataclass(frozen=True, kw_only=True)
class Regime:
    """One way to show a log to a policy, and to score what it chooses."""

    name: str  # in scenarios, tables of results and labels
    learns: str = ""  # what a policy learns from, in the words of tables and reports
    brief: str = ""  # the same, for the notes of a figure
    title: str = ""  # of ranked lists: what a case is called in words
    truth: str = ""  # of ranked lists: what their true value is called, where the world is known
    needs: tuple[str, ...] = ()  # columns that a log must have; the first one that is missing is named
    uses: tuple[str, ...] = ()  # further columns that are read where the log has them
    reveals_all: bool = False  # a policy learns the rewards of all candidates, not only of the shown ones
    listed: bool = False  # ranked lists: the candidates of a round are the items of its logged slate
    simulated: bool = False  # clicks are drawn from the click model of the log's world, which must be known
    replayed: bool = False  # only rounds in which the policy chooses the logged slate count
    ranked: bool = False  # what is liked in a round is known beforehand: likes are counted and their ranks taken
    outcomes: bool = False  # an item may be paid by any outcome of the logged slate, not only by its click
    weighed: bool = False  # a logged click counts wherever its item is placed, and propensities can weigh it

    @property
    def words(self) -> str:
        """The regime in a clause, after its name."""
        return f"{self.title}: {self.learns}" if self.title else self.learns

    @property
    def known(self) -> str:
        """The column of a log that says when what the policy is told is known."""
        return "clicks_known" if self.listed or self.replayed else "known"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a log that are read."""
        return (*ALWAYS, *self.needs, *self.uses)


REGIMES = {
    row.name: row
    for row in (
        Regime(
            name="bandit",
            learns="learns only from the items it showed",
            brief="only what was shown",
            needs=("rewards",),
            uses=("expected",),
            ranked=True,
        ),
        Regime(
            name="full",
            learns="learns from the whole reward row of every round, which no shop knows",
            brief="the whole reward row",
            needs=("rewards",),
            uses=("expected",),
            reveals_all=True,
            ranked=True,
        ),
        Regime(
            name="logged",
            learns="chooses among the items of the logged slate, and an item's reward is its logged click wherever it "
            "is placed",
            brief="the logged clicks of what was shown",
            title="logged-click re-ranking",
            truth="true value of these slates",
            needs=("slate", "clicks"),
            uses=("expected", "attraction", "scores"),
            listed=True,
            ranked=True,
            outcomes=True,
            weighed=True,
        ),
        Regime(
            name="simulated",
            learns="its slate is shown to a user of the world, who looks and clicks anew",
            brief="the clicks of simulated users",
            title="simulated users",
            truth="true value with simulated users",
            needs=("attraction", "slate", "clicks"),
            listed=True,
            simulated=True,
        ),
        Regime(
            name="replay",
            learns="learns from, and is scored on, the rounds in which it chose what was logged",
            brief="the logged clicks of matching rounds",
            needs=("slate", "clicks"),
            uses=("propensities",),
            replayed=True,
            outcomes=True,
        ),
    )
}


@dataclass(frozen=True, kw_only=True)
class Question:
    """What off-policy evaluation is asked about a policy. Answers to different questions are never compared."""

    name: str  # as `feedback` of a scenario, and in tables
    title: str  # in words, of a table and a panel
    asks: str
    learner: bool  # is it asked of a policy that learns; of one that stays as it is otherwise


QUESTIONS = {
    row.name: row
    for row in (
        Question(
            name="off-policy",
            title="fixed policies",
            asks="what this policy, which does not change, would have earned in the place of the logging policy",
            learner=False,
        ),
        Question(
            name="rejection",
            title="learners, on line",
            asks="what this learner would have earned in its first N rounds on line, learning from what it showed",
            learner=True,
        ),
        Question(
            name="progressive",
            title="learners, trained on the log",
            asks="what the choices of this learner would have earned, had it been trained on the log as it came, each "
            "time on all rows before",
            learner=True,
        ),
        Question(
            name="logged",
            title="re-ranked lists",
            asks="between which values the logged clicks of the re-ranked lists place it, without propensities",
            learner=False,
        ),
    )
}
NAMES = tuple(sorted(REGIMES))  # what a scenario may say, as messages list it
USUAL = "bandit"  # what a scenario means that names none, and what goes without saying in a heading
TITLES = {row.name: row.title for row in REGIMES.values() if row.listed}  # of the regimes for ranked lists


def row_of(name: str) -> Regime:
    """The row of a regime that stored results name; without words and facts where this version does not know it."""
    return REGIMES.get(name, Regime(name=name))


def same_rounds(first: str, second: str) -> bool:
    """Do two regimes score the same quantity on the same rounds, so that they differ in what is learned from alone?"""
    if first not in REGIMES or second not in REGIMES:
        return False
    one, other = REGIMES[first], REGIMES[second]
    return (one.listed, one.simulated, one.replayed) == (other.listed, other.simulated, other.replayed)
