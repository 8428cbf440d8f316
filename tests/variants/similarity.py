#!/usr/bin/env python3
"""Compare `score` and `search` with the similarity functions of sentence-transformers.

    python similarity.py PROGRAM MODEL_FOLDER WORK

Saves MODEL_FOLDER, which SparseEncoder must be able to read, into WORK once with each `similarity_fn_name` and once with
none, and holds `score --input` against model.similarity and model.similarity_pairwise for all pairs of some queries and
documents. For `dot` and `cosine` the scores of `index build` and `search` are compared as well; for the distances both
must be refused. Needs sentence-transformers 6. Exits with 1 if anything differs.
"""
import json
import os
import subprocess
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
import numpy as np
import torch
from sentence_transformers import SparseEncoder

SIMILARITIES = ["dot", "cosine", "euclidean", "manhattan"]
QUERIES = ["What's the weather in ny now?", "which planet is red", "rain", "", "naïve café ☕", "Currently New York is rainy."]
DOCUMENTS = [
    "Currently New York is rainy.",
    "Mars, known for its reddish appearance, is often referred to as the Red Planet.",
    "Paris is sunny.",
    "",
    "The price rose by 3.5 % in 2023, and fell again in 2024.",
    "rain " * 40,
]
# Vectors are equal to 1e-4 per weight, so scores are to about that, relative to the largest.
TOLERANCE = 1e-4


def call(program, *arguments, code=0):
    finished = subprocess.run([program, *arguments], capture_output=True, text=True)
    if finished.returncode != code:
        raise SystemExit(f"{' '.join(arguments)}: exit code {finished.returncode}, expected {code}: {finished.stderr}")
    return finished


def write_rows(path, rows):
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def ours(program, folder):
    """The scores of `score`, (queries, documents)."""
    pairs = f"{folder}/pairs.jsonl"
    write_rows(pairs, ({"query": query, "document": document} for query in QUERIES for document in DOCUMENTS))
    printed = call(
        program, "score", "--model", folder, "--dialect", "sentence-transformers", "--quiet", "--input", pairs
    ).stdout
    scores = [json.loads(line)["score"] for line in printed.splitlines()]
    return torch.tensor(scores, dtype=torch.float64).reshape(len(QUERIES), len(DOCUMENTS))


def found(program, folder):
    """The scores of `search`, 0 for what it does not find."""
    write_rows(f"{folder}/docs.jsonl", ({"id": str(number), "text": text} for number, text in enumerate(DOCUMENTS)))
    write_rows(f"{folder}/queries.jsonl", ({"id": str(number), "text": text} for number, text in enumerate(QUERIES)))
    settings = ["--model", folder, "--dialect", "sentence-transformers", "--quiet"]
    call(
        program, "index", "build", "--force", "--as", "document", "--input", f"{folder}/docs.jsonl", "--output",
        f"{folder}/index", *settings,
    )
    printed = call(
        program, "search", "--index", f"{folder}/index", "--json", "--queries", f"{folder}/queries.jsonl", *settings
    ).stdout
    scores = torch.zeros(len(QUERIES), len(DOCUMENTS), dtype=torch.float64)
    for line in printed.splitlines():
        answer = json.loads(line)
        for hit in answer["hits"]:
            scores[int(answer["id"]), int(hit["id"])] = hit["score"]
    return scores


def compare(program, model_folder, work, name):
    """The names of what differs, with the largest differences of the rest printed."""
    folder = f"{work}/{name}"
    similarity = None if name == "none" else name
    SparseEncoder(model_folder, device="cpu", similarity_fn_name=similarity).save_pretrained(folder)
    saved = json.load(open(f"{folder}/config_sentence_transformers.json", encoding="utf-8"))
    # Version 6 saves the default as null.
    assert saved["similarity_fn_name"] == similarity, saved
    model = SparseEncoder(folder, device="cpu")
    assert model.similarity_fn_name == (similarity or "dot")
    queries = torch.stack([model.encode_query(text) for text in QUERIES])
    documents = torch.stack([model.encode_document(text) for text in DOCUMENTS])
    matrix = model.similarity(queries, documents).double()
    pairs = torch.stack(
        [model.similarity_pairwise(torch.stack([query] * len(DOCUMENTS)), documents) for query in queries]
    ).double()
    scores = ours(program, folder)
    differs = []

    def check(what, difference, size):
        largest = float((difference / size).max())
        print(f"{name:<10} {what:<40} {largest:.1e}")
        if not largest <= TOLERANCE:
            differs.append(f"{name}: {what}")

    # Below 1 the difference counts as it is.
    size = pairs.abs().clamp(min=1)
    check("score - similarity_pairwise", (scores - pairs).abs(), size)
    if name == "euclidean":
        # `similarity` subtracts squares in f32: compare the squares.
        lengths = torch.stack([vector.to_dense().double().square().sum() for vector in queries])[:, None]
        lengths = lengths + torch.stack([vector.to_dense().double().square().sum() for vector in documents])[None]
        check("score² - similarity²", (scores**2 - matrix**2).abs(), lengths.clamp(min=1))
    else:
        check("score - similarity", (scores - matrix).abs(), size)
    if name in ("euclidean", "manhattan"):
        refused = call(
            program, "index", "build", "--force", "--as", "document", "--model", folder, "--input",
            f"{folder}/pairs.jsonl", "--text-field", "document", "--output", f"{folder}/index", code=1,
        ).stderr
        if f"by {name} distance" not in refused:
            differs.append(f"{name}: refused as {refused!r}")
    else:
        check("search - score", (found(program, folder) - scores).abs(), size)
    return differs


def main():
    program, model_folder, work = sys.argv[1:]
    os.makedirs(work, exist_ok=True)
    differs = [what for name in [*SIMILARITIES, "none"] for what in compare(program, model_folder, work, name)]
    for what in differs:
        print("DIFFERS", what)
    print("FAIL" if differs else "PASS")
    sys.exit(bool(differs))


if __name__ == "__main__":
    main()
