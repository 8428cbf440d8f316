#!/usr/bin/env python3
"""`eval judge` on random runs and judgements, against pytrec_eval, ir_measures and trec_eval.

    pip install pytrec_eval-terrier==0.5.11 ir_measures==0.4.3
    python tests/eval/random_runs.py [--program target/debug/neural-sparse] [--runs 2000] [--trec-eval PATH]

Runs have ties, scores that differ only beyond f32, hits in no order, and queries that are not judged; judgements have
grades from -2 to 3, queries with no relevant document, and queries that the run does not have. Every value of every query
and both means must be equal in every digit. With --trec-eval, a program of that name is asked too, with and without -c,
for as many digits as it prints. Several runs go into one file, under queries of their own: a start of the program takes
longer than all its work.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

from judging import MEASURES, defined, mean_over_answered, mean_over_judged, per_query

PER_FILE = 10


def random_case(generator, number):
    """Judgements and a run of two to eight queries."""
    qrels, run = {}, {}
    for query in range(generator.randrange(2, 9)):
        name = f"{generator.choice('qQé')}{number}-{query}"
        documents = [f"{generator.choice('dDéz1')}{document}" for document in range(generator.choice([3, 12, 60, 200]))]
        kind = generator.random()
        if kind < 0.85:
            grades = generator.choice([[0], [-1], [-2, -1, 0], [0, 1], [-1, 0, 0, 1, 2, 3], [1, 2, 3], [2]])
            judged = generator.sample(documents, generator.randrange(1, len(documents) + 1))
            outside = [f"outside{place}" for place in range(generator.choice([0, 0, 3]))]
            qrels[name] = {document: generator.choice(grades) for document in judged + outside}
        if kind > 0.15:
            step = generator.choice([1.0, 0.1, 1e-9, 1e30, 1e-40])
            found = generator.sample(documents, generator.randrange(1, len(documents) + 1))
            levels = generator.choice([1, 3, 1000])
            run[name] = {
                document: (generator.randrange(levels) - levels // 3) * step + generator.choice([0, 0, 1e-12])
                for document in found
            }
    return qrels, run


def write(folder, qrels, run):
    lines = [f"{query} 0 {document} {grade}\n" for query, grades in qrels.items() for document, grade in grades.items()]
    (folder / "qrels").write_text("".join(lines), encoding="utf-8")
    lines = [f"{query} Q0 {document} 7 {score!r} t\n" for query, hits in run.items() for document, score in hits.items()]
    (folder / "run").write_text("".join(lines), encoding="utf-8")
    # Some versions of trec_eval refuse a run with queries that are not judged.
    judged = [line for line in lines if line.split()[0] in qrels]
    (folder / "judged").write_text("".join(judged), encoding="utf-8")
    lines = [f"{query} 0 {document} {grade}\n" for query, grades in defined(qrels).items() for document, grade in grades.items()]
    (folder / "defined").write_text("".join(lines), encoding="utf-8")


TREC_NAMES = {"nDCG@10": "ndcg_cut_10", "AP": "map", "RR": "recip_rank", "R@100": "recall_100", "P@20": "P_20"}


def trec_eval(program, folder, complete):
    flags = ["-m", "ndcg_cut.10", "-m", "map", "-m", "recip_rank", "-m", "recall.100", "-m", "P.20"]
    command = [program, *(["-c"] if complete else []), *flags, folder / "defined", folder / "judged"]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout.splitlines()
    return {line.split()[0]: line.split()[2] for line in lines}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", default="target/debug/neural-sparse")
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--trec-eval")
    arguments = parser.parse_args()
    generator = random.Random(arguments.seed)
    counts = {"files": 0, "counts": 0, "queries": 0, "values": 0, "means": 0, "trec_eval": 0, "different": 0}

    def check(kind, expected, found, what):
        counts[kind] += 1
        if expected != found:
            counts["different"] += 1
            if counts["different"] <= 20:
                print(f"{what}: expected {expected!r}, found {found!r}")

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for first in range(0, arguments.runs, PER_FILE):
            qrels, run = {}, {}
            for number in range(first, min(first + PER_FILE, arguments.runs)):
                for whole, part in zip((qrels, run), random_case(generator, number)):
                    whole.update(part)
            write(folder, qrels, run)
            command = [arguments.program, "eval", "judge", "--run", folder / "run", "--qrels", folder / "qrels", "--json"]
            command += ["--measures", ",".join(MEASURES), "--per-query", folder / f"{first}.jsonl"]
            report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            counts["files"] += 1
            rows = {row["query"]: row for row in map(json.loads, open(folder / f"{first}.jsonl", encoding="utf-8"))}
            expected = per_query(qrels, run)
            check("counts", set(qrels), set(rows), f"{first}: queries")
            check("counts", (len(qrels), len(expected)), (report["queries"], report["answered"]), f"{first}: counts")
            for query, row in rows.items():
                counts["queries"] += 1
                for measure in MEASURES:
                    value = expected[query][measure] if query in expected else 0.0
                    check("values", value, row[measure], f"{query} {measure}")
            answered, judged = mean_over_answered(qrels, run), mean_over_judged(qrels, run)
            for measure in MEASURES:
                check("means", answered[measure], report["over_answered"][measure], f"{first} {measure}, answered")
                check("means", judged[measure], report[measure], f"{first} {measure}, judged")
            for complete in (False, True) if arguments.trec_eval else ():
                found = report if complete else report["over_answered"]
                for measure, name in TREC_NAMES.items():
                    printed = trec_eval(arguments.trec_eval, folder, complete)[name]
                    # Its four digits are rounded from sums in another order.
                    is_alike = abs(float(printed) - found[measure]) < 0.5e-4 + 1e-12
                    check("trec_eval", True, is_alike, f"{first} {measure}, trec_eval {printed}, {found[measure]}")
    print(", ".join(f"{count} {kind}" for kind, count in counts.items()))
    sys.exit(1 if counts["different"] else 0)


if __name__ == "__main__":
    main()
