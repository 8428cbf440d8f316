#!/usr/bin/env python3
"""The figures of `neural-sparse eval --data`, by other means: PyTorch encodes, scipy searches, pytrec_eval judges.

    pip install torch transformers scipy pytrec_eval-terrier
    cargo build --release
    python tests/eval/reference.py MODEL_DIR DATA_DIR [DATA_DIR ...]

MODEL_DIR is a BERT or DistilBERT masked language model in Hugging Face layout, both of whose sides are the same. Prints
its figures, then the program's own, and ends with 1 where they differ: by half of the fourth decimal, or, where terms
are counted, by one in 10,000. A logit next to 0 is a term on one processor and none on another: of the 339,623 weights
of Cranfield's documents in PyTorch, one more is positive with AVX2 (in f64 that logit is -0.0000026), and none with
AVX-512.
"""

import json
import pathlib
import subprocess
import sys

import numpy
import pytrec_eval
import scipy.sparse
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

PROGRAM = pathlib.Path(__file__).parent / "../../target/release/neural-sparse"
DEPTH = 1000
FIGURES = {"ndcg@10": "ndcg_cut_10", "recall@100": "recall_100", "map": "map", "mrr@10": "recip_rank"}


def rows(path):
    return [json.loads(line) for line in open(path, encoding="utf-8")]


def encode(model, tokenizer, texts):
    """(N, V): ln(1 + max(0, max over positions of the logits)), special tokens 0."""
    special = [tokenizer.vocab[token] for token in tokenizer.special_tokens_map.values() if isinstance(token, str)]
    vectors = []
    for text in texts:
        inputs = tokenizer(text, truncation=True, max_length=512, return_tensors="pt")
        with torch.no_grad():
            weights = torch.log1p(torch.relu(model(**inputs).logits[0].amax(0)))
        weights[special] = 0
        vectors.append(scipy.sparse.csr_matrix(weights.numpy()))
    return scipy.sparse.vstack(vectors).tocsr()


def evaluate(model, tokenizer, folder):
    qrels = {}
    for line in open(folder / "qrels/test.tsv", encoding="utf-8").read().split("\n")[1:]:
        if line:
            query, document, grade = line.split("\t")
            qrels.setdefault(query, {})[document] = int(grade)
    corpus = rows(folder / "corpus.jsonl")
    queries = [row for row in rows(folder / "queries.jsonl") if row["_id"] in qrels]
    ids = [row["_id"] for row in corpus]
    documents = encode(model, tokenizer, [(row.get("title", "") + " " + row["text"]).strip() for row in corpus])
    encoded = encode(model, tokenizer, [row["text"] for row in queries])
    scores = (encoded.astype(numpy.float64) @ documents.astype(numpy.float64).T).toarray().astype(numpy.float32)
    run = {}
    for query, found in zip(queries, scores):
        best = numpy.argsort(-found, kind="stable")[:DEPTH]
        run[query["_id"]] = {
            ids[place]: float(found[place]) for place in best if found[place] > 0 and ids[place] != query["_id"]
        }
    judged = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10", "recall.100", "map"}).evaluate(run)
    first = {
        query: dict(sorted(hits.items(), key=lambda hit: (hit[1], hit[0].encode()), reverse=True)[:10])
        for query, hits in run.items()
    }
    for query, figures in pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(first).items():
        judged[query].update(figures)
    report = {name: numpy.mean([figures[key] for figures in judged.values()]) for name, key in FIGURES.items()}
    shares = [numpy.asarray((matrix > 0).mean(axis=0)).ravel() for matrix in (encoded, documents)]
    report["flops"] = float(shares[0] @ shares[1])
    report["query_terms"] = encoded.nnz / encoded.shape[0]
    report["document_terms"] = documents.nnz / documents.shape[0]
    return report


def main(model_dir, *folders):
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    model = AutoModelForMaskedLM.from_pretrained(model_dir).eval()
    is_same = True
    for folder in folders:
        expected = evaluate(model, tokenizer, pathlib.Path(folder))
        arguments = ["eval", "--data", folder, "--model", model_dir, "--json", "--quiet"]
        found = json.loads(subprocess.run([PROGRAM, *arguments], check=True, stdout=subprocess.PIPE).stdout)
        for name, figure in expected.items():
            is_alike = abs(found[name] - figure) < (5e-5 if name in FIGURES else 1e-4 * figure)
            is_same &= is_alike
            print(f"{folder}  {name:15} {figure:.6f}  {found[name]:.6f}{'' if is_alike else '  DIFFERENT'}")
    sys.exit(0 if is_same else 1)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
