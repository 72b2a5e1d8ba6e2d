"""What is different about some spans: every attribute of theirs against that of others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import polars as pl

from tracescape_analytics.compare import tables
from tracescape_analytics.compare.counting import Counts, Sides, count_values, sides
from tracescape_analytics.compare.ranking import SCORES, Score
from tracescape_analytics.compare.rows import attribute_rows
from tracescape_analytics.compare.selection import Selection
from tracescape_analytics.search import nothing_found
from tracescape_analytics.windows import Window, baseline_of
from tracescape_analytics.words import counted, readable_duration
from tracescape_storage.errors import StoreError
from tracescape_storage.filters import EVERYTHING
from tracescape_storage.reader import Reader
from tracescape_storage.search import Question, window_conditions

#: Sentences of the summary, at most, and by how much shares differ that are worth one.
_SENTENCES: Final = 5
_WORTH_TELLING: Final = 0.01
_BEFORE: Final = "in the time just before"
_ELSE: Final = " Choose a service or an operation, or ask diagnose what broke."


@dataclass(frozen=True)
class Comparison:
    """What distinguishes a selection of spans from a baseline; docs/compare.md has the columns.

    Attributes:
        attributes: a row an attribute, the most telling first.
        values: a row a value ("unset" is null), in the order of attributes, and of each those first whose
            shares differ most.
        numbers: a row an attribute that has numbers.
        pairs: a row a pair of values that tells more than either alone, the most telling first.
        selected: how many spans the selection has; ``compared``: how many the baseline.
        others: what the baseline is, in words; empty where it was given.
    """

    attributes: pl.DataFrame
    values: pl.DataFrame
    numbers: pl.DataFrame
    pairs: pl.DataFrame
    selected: int
    compared: int
    others: str = ""

    def __str__(self) -> str:
        """The most telling values, a sentence each."""
        against = f"{self.compared:,} {self.others}".rstrip()
        head = f"{counted(self.selected, 'span')} against {against}."
        more = self.values.filter("significant", pl.col("difference") >= _WORTH_TELLING)
        told = more.unique("attribute", keep="first", maintain_order=True)
        if told.is_empty():
            return f"{head} No attribute stands out.{_ELSE if self.others == _BEFORE else ''}"
        # What goes with a value wherever that goes is told in the same sentence.
        alike = ["selection", "baseline"]
        same = told.group_by(alike, maintain_order=True).agg(
            pl.exclude("attribute").first(), pl.col("attribute").first(), also=pl.col("attribute")
        )
        sentences = [_sentence(row) for row in same.head(_SENTENCES).iter_rows(named=True)]
        sentences += [_pair_sentence(row) for row in self.pairs.head(1).iter_rows(named=True)]
        return "\n".join([head, *sentences])


def compare(
    reader: Reader, selection: Selection, baseline: Selection | None = None, *, score: Score = "divergence"
) -> Comparison:
    """Compare the spans of ``selection`` with those of ``baseline`` over every attribute.

    Without a baseline, a window, or what a service, operation or kind did in one, is compared with the same
    length of time just before, and any other selection with the rest of its window. A span in both is the
    selection's. Attributes by which either is chosen are left out, and what describes a failure comes last
    where failed spans are chosen. Significance is Benjamini and Hochberg's at 1 % over all attributes, over
    all values and over all pairs; tests take spans as independent, so a few traces with many alike spans look
    surer than they are.

    Raises:
        ValueError: the selection is everything there is, or the score is unknown.
        StoreError: one side has no spans, or the store does not answer.
    """
    if score not in SCORES:
        raise ValueError(f"there is no score {score!r:.80}; it is one of {', '.join(SCORES)}")
    with reader.holding():
        return _compare(reader, selection, baseline, score)


def _compare(reader: Reader, selection: Selection, baseline: Selection | None, score: Score) -> Comparison:
    others, words = _others(reader, selection) if baseline is None else (baseline, "")
    asked = sides(reader, selection.sql(reader), others.sql(reader), _hull(selection, others))
    for name, side, size in (
        ("selection", selection, asked.selected),
        ("baseline", others, asked.compared),
    ):
        if not size:
            why = nothing_found(reader, Question(side.where, side.since_ns, side.until_ns))
            raise StoreError(f"The {name} has no spans: {why.rstrip('.?')}{'?' * why.endswith('?') or '.'}")
    chosen_by = selection.asked() | others.asked()
    counts = {name: own for name, own in count_values(reader, asked).items() if name not in chosen_by}
    found = _compared(reader, asked, counts, score, selection.restated() | others.restated())
    return replace(found, others=words)


def _others(reader: Reader, selection: Selection) -> tuple[Selection, str]:
    """What a selection is compared with unless told, and that in words."""
    whole = not selection.narrows
    before = None
    if whole or selection.is_work:
        before = baseline_of(reader, Window(selection.since_ns, selection.until_ns))
    if before is not None:
        alike = Selection(selection.where, since_ns=before.since_ns, until_ns=before.until_ns)
    if before is not None and reader.sql(f"SELECT 1 FROM spans WHERE {alike.sql(reader)} LIMIT 1").num_rows:
        return alike, _BEFORE if whole else f"of the same {_BEFORE}"
    if whole:
        raise ValueError(
            "the selection is everything that is stored, or there is nothing before its window: name a"
            " baseline, or choose some of the spans (where=, slowest=, since=)"
        )
    rest = selection.rest()
    return rest, f"others{'' if rest.where == EVERYTHING else f' with {rest.where}'}"


def _hull(selection: Selection, others: Selection) -> list[str]:
    """The window that both lie in, for the database to skip the rest."""
    begins, ends = (selection.since_ns, others.since_ns), (selection.until_ns, others.until_ns)
    since = None if None in begins else min(each for each in begins if each is not None)
    until = None if None in ends else max(each for each in ends if each is not None)
    return window_conditions(since, until)


def _compared(
    reader: Reader, asked: Sides, counts: Mapping[str, Counts], score: Score, restated: frozenset[str]
) -> Comparison:
    told = [attribute_rows(name, own, asked) for name, own in sorted(counts.items())]
    scores = SCORES[score]([each.distribution for each in told])
    # A failed span has an exception: that is how it failed, not why, so it comes after the rest.
    order = np.lexsort((-scores, np.array([each.name in restated for each in told])))
    told, scores = [told[place] for place in order], scores[order]
    values = tables.values(told, asked)
    return Comparison(
        attributes=tables.attributes(told, scores, asked, bootstrapped=score == "divergence"),
        values=tables.with_exemplars(reader, asked, told, values),
        numbers=tables.numbers(told),
        pairs=tables.pairs(reader, asked, told, values),
        selected=asked.selected,
        compared=asked.compared,
    )


def _sentence(row: Mapping[str, Any]) -> str:
    has = _equation(row["attribute"], row["value"])
    often = f", {row['lift']:.3g} times as often" if row["lift"] else ""
    also = f" (as surely: {', '.join(row['also'][1:4])})" if len(row["also"]) > 1 else ""
    trace = f", as in trace {row['exemplar']}" if row["exemplar"] else ""
    shares = f"{_share(row['selection_share'])} have {has}, of the others {_share(row['baseline_share'])}"
    return f"{shares}{often}{also}{trace}."


def _pair_sentence(row: Mapping[str, Any]) -> str:
    both = f"{_equation(row['attribute'], row['value'])} and "
    both += _equation(row["other_attribute"], row["other_value"])
    shares = f"{_share(row['selection_share'])} have {both}, of the others {_share(row['baseline_share'])}"
    return f"Together: {shares}."


def _equation(attribute: str, value: str | None) -> str:
    if attribute == "duration_ns" and value is not None:
        bounds = (round(float(bound.replace(",", ""))) for bound in value.split(" … "))
        return f"duration = {' … '.join(map(readable_duration, bounds))}"
    # Values are strangers' text: one line of it, without what could move a terminal's cursor.
    line = "" if value is None else " ".join(value.split())
    plain = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line[:80])
    return f"no {attribute}" if value is None else f"{attribute} = {plain}{'…' if len(line) > 80 else ''}"


def _share(share: float) -> str:
    return f"{100 * share:.3g} %"
