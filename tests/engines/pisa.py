"""PISA, through pyterrier-pisa: an index made from CIFF, queries of weighted terms.

Needs cargo, for PISA's own converter from CIFF. `PisaIndex.from_ciff` wants the package pyciff instead: the same
converter, older, and without a wheel for a Python of today.
"""

import collections
import json
import pathlib
import shutil
import subprocess
import sys

import pandas
import pyterrier_pisa

import ranking

CIFF = "0.3.1"
SCALE = 50


def converter(place):
    program = place / "bin" / "ciff2pisa"
    if not program.exists():
        install = ["cargo", "install", "--quiet", "--locked", "--root", place, "--version", CIFF, "ciff"]
        subprocess.run(install, check=True)
    return program


def index(place, ciff):
    """What `PisaIndex.from_ciff` makes, step by step."""
    target = place / "index"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    convert = [converter(place), "--ciff-file", ciff, "--output", target / "inv", "--generate-lexicons"]
    subprocess.run(convert, check=True, stdout=subprocess.DEVNULL)
    for name in ("documents", "terms", "doclex", "termlex"):
        (target / f"inv.{name}").rename(target / f"fwd.{name}")
    # No stemmer: the terms are a model's tokens, not words.
    meta = {"type": "sparse_index", "format": "pisa", "package_hint": "pyterrier-pisa", "stemmer": "none"}
    (target / "pt_meta.json").write_text(json.dumps(meta))
    return pyterrier_pisa.PisaIndex(str(target), stops="none")


def search(index, queries):
    """For each query, (document id, score) pairs. A query is its terms, each as often as its weight says."""
    rows = [
        # Not as the column `query`: PISA would cut that into words, and `##s` would become `s`.
        {"qid": str(number), "query_toks": dict(collections.Counter(query.split(" ")))}
        for number, query in enumerate(queries)
        if query
    ]
    # The weights are whole numbers already; otherwise they would be multiplied by 100.
    retriever = index.quantized(num_results=ranking.TOP, toks_scale=1.0)
    hits = [[] for _ in queries]
    for row in retriever(pandas.DataFrame(rows)).itertuples():
        hits[int(row.qid)].append((row.docno, row.score))
    return hits


def main(program, data, model, place):
    place = pathlib.Path(place)
    ciff = place / "vectors.ciff"
    ranking.encode_documents(program, model, data, ciff, "--format", "ciff")
    impacts = ranking.integers(SCALE)
    exact = ranking.Exact(program, model, data, place, impacts, impacts)
    hits = search(index(place, ciff), ranking.query_bodies(program, model, "ciff", exact.texts))
    ranking.compare("pisa", exact, hits)
    ranking.compare(
        "pisa, to the weights before rounding",
        ranking.Exact(program, model, data, place),
        hits,
        scale=SCALE * SCALE,
        least_overlap=0.98,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
