#!/usr/bin/env python3
"""Model folders as people save and edit them, each judged by its authors' library.

    variants.py make  [NAME...]              write the golden vectors of all kinds, or of those named
    variants.py check [NAME...]              recompute them with the installed libraries and compare
    variants.py run PROGRAM [NAME...]        compare a built program with the libraries, kind by kind
    variants.py files                        write the checkpoints in files/, which only PyTorch can write
    variants.py folder NAME DESTINATION      make one folder and leave it there

kinds.json describes each kind as data: a base folder, and edits of it. tests/it/variants.rs applies the same edits in
`cargo test` and compares with the golden vectors. The README beside this file says what is where.

Needs torch, transformers, sentence-transformers and peft; no network. The goldens were made with torch 2.15.0,
transformers 5.24.0, sentence-transformers 6.2.0, tokenizers 0.23.3 and peft 0.21.2.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from types import SimpleNamespace

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
warnings.filterwarnings("ignore")
sys.dont_write_bytecode = True

import torch
from safetensors.torch import load_file

from folders import BOOK, HERE, make_folder, write_files

torch.set_num_threads(1)
logging.disable(logging.WARNING)

TOLERANCE = 1e-4
# An edit that should show must move a weight by more than this.
MOVES = 5e-4


# Judging it.


def texts_of(kind):
    """Those of the base and the kind's own, or those that stand in their place."""
    return kind.get("instead") or BOOK["texts"][BOOK["bases"][kind["base"]]["texts"]] + kind.get("texts", [])


def judged(kind, folder):
    """For each side {id: weight} of each text, and the term of each id; what the library raises is raised."""
    texts, sides = texts_of(kind), kind.get("sides", ["document"])
    before = os.getcwd()
    # An adapter names its base by a path relative to where the library runs.
    os.chdir(folder)
    try:
        if kind["judge"] in ("transformers", "reference"):
            vectors, term = by_transformers(texts, kind["judge"] == "reference")
            return {side: vectors for side in sides}, term
        return by_sentence_transformers(texts, sides, kind.get("scores", False))
    finally:
        os.chdir(before)


def by_transformers(texts, has_own_code):
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(".", trust_remote_code=False)
    if has_own_code:
        # The model's code would be downloaded; this one was written from its definition.
        sys.path.insert(0, str(HERE.parent / "fixtures"))
        from gte_reference import Gte

        config = json.loads(Path("config.json").read_text())
        model, config = Gte(config, load_file("model.safetensors")), SimpleNamespace(**config)
    else:
        model = AutoModelForMaskedLM.from_pretrained(".", dtype=torch.float32).eval()
        config = model.config
    positions = config.max_position_embeddings
    if config.model_type in ("roberta", "xlm-roberta", "camembert"):
        positions -= config.pad_token_id + 1
    limit = min(positions, tokenizer.model_max_length)
    vectors = []
    for text in texts:
        features = tokenizer(text, return_tensors="pt", truncation=True, max_length=limit)
        if has_own_code:
            features = {"input_ids": features["input_ids"]}
        with torch.no_grad():
            weights = torch.log1p(torch.relu(model(**features).logits)).amax(1)[0]
        weights[tokenizer.all_special_ids] = 0
        vectors.append(sparse(weights, tokenizer))
    return vectors, tokenizer.convert_ids_to_tokens


def by_sentence_transformers(texts, sides, with_scores):
    from sentence_transformers import SparseEncoder

    model = SparseEncoder(".", model_kwargs={"dtype": torch.float32}, device="cpu")
    vectors = {}
    for side in sides:
        encode = model.encode_query if side == "query" else model.encode_document
        weights = [encode([text], convert_to_sparse_tensor=False)[0] for text in texts]
        vectors[side] = [sparse(of_text, model.tokenizer) for of_text in weights]
    if with_scores:
        # The first text as a query, each as a document; the weights are the pairs' scores.
        query = model.encode_query(texts[:1])
        scores = [float(model.similarity(query, model.encode_document([text]))[0, 0]) for text in texts]
        vectors["scores"] = [dict(enumerate(scores))]
    return vectors, model.tokenizer.convert_ids_to_tokens


def sparse(weights, tokenizer):
    """Without the rows of the decoder that no token names: there is no term to write them under."""
    ids = torch.nonzero(weights).flatten().tolist()
    return {i: float(weights[i]) for i in ids if tokenizer.convert_ids_to_tokens(i) is not None}


def distance(one, other):
    """The largest difference of a weight."""
    worst = 0.0
    for a, b in zip(one, other, strict=True):
        for key in a.keys() | b.keys():
            difference = abs(a.get(key, 0.0) - b.get(key, 0.0))
            worst = max(worst, difference if difference == difference else float("inf"))
    return worst


def relative_distance(ours, theirs):
    """The largest difference of a score, in parts of those above 1."""
    assert ours.keys() == theirs.keys()
    return max(abs(ours[key] - theirs[key]) / max(1.0, abs(theirs[key])) for key in theirs)


# Golden files: for each side, for each text, the ids and their weights.


def golden_path(kind):
    """A kind that is `same` has no file of its own: it is compared with the base's, or with the one that it names."""
    name = kind.get("golden", kind["base"]) if is_shared(kind) else kind["name"]
    return HERE / "golden" / f"{name}.json"


def is_shared(kind):
    return kind.get("same", False) and not kind.get("scores", False)


def write_golden(kind, vectors):
    def line(vector):
        ids = sorted(vector)
        return json.dumps([ids, [float(f"{vector[i]:.6g}") for i in ids]], separators=(",", ":"))

    # `scores` is a side with one vector: the scores of all texts as documents of the first.
    sides = [f'"{side}":[\n' + ",\n".join(line(v) for v in of_side) + "\n]" for side, of_side in vectors.items()]
    golden_path(kind).parent.mkdir(exist_ok=True)
    golden_path(kind).write_text("{" + ",\n".join(sides) + "}\n")


def read_golden(kind):
    golden = json.loads(golden_path(kind).read_text())
    return {side: [dict(zip(*vector)) for vector in vectors] for side, vectors in golden.items()}


def first_line(error):
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"[:160]


def selected(names):
    return [kind for kind in BOOK["kinds"] if not names or any(name in kind["name"] for name in names)]


def attempt(kind, folder):
    """(vectors, term, None), or (None, None, what the judge said); the folder is left as the kind describes it."""
    make_folder(kind, folder)
    if "judged_after" in kind:
        with tempfile.TemporaryDirectory() as other:
            make_folder({**kind, "edits": kind["edits"] + kind["judged_after"]}, Path(other))
            return attempt_in(kind, Path(other))
    return attempt_in(kind, folder)


def attempt_in(kind, folder):
    try:
        vectors, term = judged(kind, folder)
    except Exception as error:
        return None, None, first_line(error)
    if any(w != w or abs(w) == float("inf") for side in vectors.values() for v in side for w in v.values()):
        return None, None, "gives weights that are not finite"
    return vectors, term, None


def make(names):
    plain = {}
    failures = 0
    for kind in selected(names):
        with tempfile.TemporaryDirectory() as folder:
            vectors, _, refusal = attempt(kind, Path(folder))
        said = ""
        if vectors is None:
            said = f"the judge refuses: {refusal}"
            if kind["expect"] != "refused":
                failures += 1
                said = "FAILS, " + said
        elif kind["expect"] != "refused":
            if not is_shared(kind):
                write_golden(kind, vectors)
            key = (kind["base"], kind["judge"], tuple(texts_of(kind)), tuple(kind.get("sides", ["document"])))
            if key not in plain:
                with tempfile.TemporaryDirectory() as folder:
                    plain[key] = attempt({**kind, "edits": []}, Path(folder))[0]
            # A base that its judge cannot read without the edits has nothing to compare with.
            of_base = plain[key] or {side: [{} for _ in of_side] for side, of_side in vectors.items()}
            moved = max(distance(vectors[side], of_base[side]) for side in kind.get("sides", ["document"]))
            if kind.get("edits") and (moved > MOVES) == kind.get("same", False):
                failures += 1
                said = "FAILS, "
            said += f"moves a weight by {moved:.2g}"
        else:
            said = "the judge computes vectors, we refuse"
        print(f"{kind['name']}: {said}", flush=True)
    wanted = {golden_path(kind) for kind in BOOK["kinds"] if kind["expect"] != "refused"}
    for path in set((HERE / "golden").glob("*.json")) - wanted:
        path.unlink()
    size = sum(path.stat().st_size for path in HERE.rglob("*") if path.is_file())
    print(f"{failures} fail; {len(BOOK['kinds'])} kinds, {size} bytes in all")
    return failures


def check(names):
    differ = 0
    for kind in selected(names):
        with tempfile.TemporaryDirectory() as folder:
            vectors, _, refusal = attempt(kind, Path(folder))
        if vectors is None:
            said = f"refuses: {refusal}"
            agrees = kind["expect"] == "refused"
        elif kind["expect"] == "refused":
            said, agrees = "computes vectors where we refuse", True
        else:
            golden = read_golden(kind)
            sides = {side: of_side for side, of_side in vectors.items() if side != "scores"}
            worst = max(distance(of_side, golden[side]) for side, of_side in sides.items())
            if "scores" in vectors:
                worst = max(worst, relative_distance(vectors["scores"][0], golden["scores"][0]))
            said, agrees = f"differs by {worst:.1e}", worst <= TOLERANCE
        differ += not agrees
        print(f"{'ok   ' if agrees else 'OTHER'} {kind['name']}: {said}", flush=True)
    print(f"{differ} differ")
    return differ


def run(program, names):
    program = os.path.abspath(program)
    falls = 0
    for kind in selected(names):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / kind.get("called", "model")
            vectors, term, refusal = attempt(kind, folder)
            verdict, said = verdict_of(program, kind, place, vectors, term, refusal)
        wanted = ["REFUSED"] if kind["expect"] == "refused" else ["EQUAL"]
        if kind["expect"] == "equal or refused":
            wanted = ["EQUAL", "REFUSED"]
        falls += verdict not in wanted
        mark = "ok   " if verdict in wanted else "FALLS"
        print(f"{mark} | {verdict:8} | {kind['name']} | {kind['judge']} | {said}", flush=True)
    print(f"{falls} fall")
    return falls


def verdict_of(program, kind, place, vectors, term, refusal):
    dialect = ["--dialect", "sentence-transformers"] if kind["judge"] == "sentence-transformers" else []
    worst, notes = 0.0, ""
    texts = texts_of(kind)
    # A folder that is called like a known model is that folder, however it is named.
    names = [f"./{kind['called']}", kind["called"]] if "called" in kind else ["./model"]
    calls = [(name, side) for name in names for side in kind.get("sides", ["document"])]
    if kind.get("scores"):
        calls.append((names[0], "scores"))
    for name, side in calls:
        if side == "scores":
            command = [program, "score", "--model", name, *dialect, "--", texts[0], *texts]
        else:
            command = [program, "encode", "--model", name, *dialect, "--as", side, "--", *texts]
        environment = {**os.environ, "NEURAL_SPARSE_MODEL": ""}
        done = subprocess.run(command, capture_output=True, text=True, cwd=place, env=environment)
        message = done.stderr.strip().replace("\n", " ")
        if done.returncode not in (0, 1, 2) or "panicked" in message:
            return "CRASHED", message[:160]
        if done.returncode != 0:
            named = all(word.lower() in message.lower() for word in kind.get("names", []))
            return ("REFUSED" if named else "VAGUE"), message[:160]
        if vectors is None:
            return "ACCEPTED", f"the judge refuses: {refusal}"
        if side == "scores":
            ours = [{place: float(line) for place, line in enumerate(done.stdout.splitlines())}]
            worst = max(worst, relative_distance(ours[0], vectors[side][0]))
            continue
        ours = [json.loads(line) for line in done.stdout.splitlines()]
        theirs = [{term(key): weight for key, weight in vector.items()} for vector in vectors[side]]
        worst = max(worst, distance(ours, theirs))
        notes = message[:100]
    return ("EQUAL" if worst <= TOLERANCE else "WRONG"), f"differs by {worst:.1e}; {notes}"


def main(arguments):
    match arguments:
        case ["make", *names]:
            return make(names)
        case ["check", *names]:
            return check(names)
        case ["run", program, *names]:
            return run(program, names)
        case ["files"]:
            return write_files()
        case ["folder", name, destination]:
            make_folder(next(kind for kind in BOOK["kinds"] if kind["name"] == name), Path(destination))
            return 0
        case _:
            print(__doc__)
            return 2


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:])))
