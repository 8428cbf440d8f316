"""What pytrec_eval and ir_measures say of a run, in ir_measures' names.

    pip install pytrec_eval-terrier==0.5.11 ir_measures==0.4.3

`per_query` gives the values of the queries that are judged and in the run. What trec_eval defines is pytrec_eval's;
Judged and RR with a cutoff are ir_measures', which sorts equal scores the other way round: it is given the ranks of
trec_eval's order in place of the scores.

trec_eval's code takes the memory for a query's grades by its largest one, and writes past it where that is below -1; where
it is -1, what it knew of the query before stays. Such a query is given a document of grade 0 that no run has, which
changes no measure.
"""

import re
import struct

import ir_measures
import pytrec_eval

TREC = {"nDCG": "ndcg", "AP": "map", "RR": "recip_rank", "R": "recall", "P": "P", "Success": "success"}
CUT = {"nDCG": "ndcg_cut", "AP": "map_cut", "R": "recall", "P": "P", "Success": "success"}
MEASURE = re.compile(r"(\w+)(?:\(([^)]*)\))?(?:@(\d+))?$")

MEASURES = [
    *("nDCG@10", "nDCG@1", "nDCG", "AP", "AP@5", "AP@100", "RR", "RR@10", "RR@2", "R@5", "R@100", "R@1000", "P@1", "P@20"),
    *("Success@1", "Success@5", "Judged@10", "Judged@3", "Judged"),
    *("AP(rel=2)", "AP(rel=2)@5", "RR(rel=2)", "RR(rel=2)@10", "R(rel=3)@5", "P(rel=2)@20", "Success(rel=2)@5"),
    *("nDCG(judged_only=True)@10", "AP(judged_only=True)", "P(judged_only=True)@5", "R(rel=2,judged_only=True)@5"),
    *("RR(judged_only=True)", "Success(judged_only=True)@1"),
]


def f32(score):
    try:
        return struct.unpack("f", struct.pack("f", score))[0]
    except OverflowError:
        return float("inf") if score > 0 else float("-inf")


def by_rank(run):
    """The run with scores that have no ties, in trec_eval's order: by score as f32, then by id, both descending."""
    ranked = {}
    for query, hits in run.items():
        order = sorted(hits, key=lambda document: (f32(hits[document]), document.encode()), reverse=True)
        ranked[query] = {document: -float(rank) for rank, document in enumerate(order)}
    return ranked


def defined(qrels):
    """The judgements, each query with a grade of 0 or more."""
    nothing = {"of-grade-0": 0}
    return {query: {**grades, **({} if max(grades.values()) >= 0 else nothing)} for query, grades in qrels.items()}


def per_query(qrels, run, measures=MEASURES):
    qrels = defined(qrels)
    values = {query: {} for query in run if query in qrels}
    for measure in measures:
        name, options, cutoff = MEASURE.match(measure).groups()
        options = dict(option.split("=") for option in (options or "").split(",") if option)
        if name == "Judged" or (name == "RR" and cutoff):
            found = ir_measures.iter_calc([ir_measures.parse_measure(measure)], qrels, by_rank(run))
            found = {metric.query_id: metric.value for metric in found}
        else:
            key = f"{CUT[name]}_{cutoff}" if cutoff else TREC[name]
            evaluator = pytrec_eval.RelevanceEvaluator(
                qrels,
                {key.rsplit("_", 1)[0] + f".{cutoff}" if cutoff else key},
                relevance_level=int(options.get("rel", 1)),
                judged_docs_only_flag=int(options.get("judged_only") == "True"),
            )
            found = {query: figures[key] for query, figures in evaluator.evaluate(run).items()}
        for query in values:
            values[query][measure] = found[query]
    return values


def mean_over_answered(qrels, run, measures=MEASURES):
    """The sum in the order of the run, over the number of its judged queries."""
    values = per_query(qrels, run, measures)
    means = {}
    for measure in measures:
        total = 0.0
        for query in values:
            total += values[query][measure]
        means[measure] = total / len(values)
    return means


def mean_over_judged(qrels, run, measures=MEASURES):
    """ir_measures' own aggregation, which counts queries that the run does not have with 0."""
    parsed = [ir_measures.parse_measure(measure) for measure in measures]
    qrels, ranked = defined(qrels), by_rank(run)
    # One at a time: how measures are shared out to their providers decides the order of the sums otherwise.
    return {str(one): ir_measures.calc_aggregate([one], qrels, ranked)[one] for one in parsed}
