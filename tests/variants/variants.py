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
import shutil
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

import torch
from safetensors.torch import load_file, save_file

torch.set_num_threads(1)
logging.disable(logging.WARNING)

HERE = Path(__file__).resolve().parent
BOOK = json.loads((HERE / "kinds.json").read_text(encoding="utf8"))
DTYPES = {"f64": torch.float64, "f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "i64": torch.int64}
TOLERANCE = 1e-4
# An edit that should show must move a weight by more than this.
MOVES = 5e-4


# Making a folder. tests/it/variants.rs does the same, operation by operation.


def make_folder(kind, folder):
    """Copies the base of `kind` to `folder` and applies its edits."""
    base = BOOK["bases"][kind["base"]]
    source = HERE / base["folder"]
    shutil.copytree(source, folder, dirs_exist_ok=True)
    for path in sorted(folder.rglob("*"), reverse=True):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and (name in base.get("without", []) or name.endswith(".jsonl")):
            path.unlink()
        elif path.is_dir() and name in base.get("without", []):
            shutil.rmtree(path)
    for edit in kind.get("edits", []):
        apply(folder, edit)


def apply(folder, edit):
    if "set" in edit:
        set_values(folder / edit["set"], edit["values"])
    elif "unset" in edit:
        unset_values(folder / edit["unset"], edit["keys"])
    elif "write" in edit:
        (folder / edit["write"]).parent.mkdir(parents=True, exist_ok=True)
        (folder / edit["write"]).write_bytes(edit["text"].encode("utf8"))
    elif "delete" in edit:
        path = folder / edit["delete"]
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    elif "move" in edit:
        (folder / edit["to"]).parent.mkdir(parents=True, exist_ok=True)
        (folder / edit["move"]).rename(folder / edit["to"])
    elif "copy" in edit:
        (folder / edit["to"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / edit["copy"], folder / edit["to"])
    elif "stored" in edit:
        shutil.copy(HERE / "files" / edit["stored"], folder / edit["to"])
    elif "replace" in edit:
        path = folder / edit["replace"]
        before = path.read_bytes()
        path.write_bytes(before.replace(edit["from"].encode("utf8"), edit["to"].encode("utf8")))
        assert path.read_bytes() != before, edit
    elif "link" in edit:
        (folder / edit["link"]).symlink_to(edit["to"])
    elif "vocab_and_merges" in edit:
        model = json.loads((folder / edit["vocab_and_merges"]).read_text(encoding="utf8"))["model"]
        (folder / "vocab.json").write_text(json.dumps(model["vocab"], ensure_ascii=False), encoding="utf8")
        pairs = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
        (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(pairs) + "\n", encoding="utf8")
    elif "tensors" in edit:
        edit_tensors(folder, edit)
    else:
        raise ValueError(f"no such edit: {edit}")


def steps_of(pointer):
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def set_values(path, values):
    root = json.loads(path.read_text(encoding="utf8")) if path.exists() else {}
    for pointer, value in values.items():
        *parents, last = steps_of(pointer)
        place = root
        for step in parents:
            place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
        if isinstance(place, list):
            place.append(value) if last == "-" else place.__setitem__(int(last), value)
        else:
            place[last] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(root, ensure_ascii=False), encoding="utf8")


def unset_values(path, pointers):
    root = json.loads(path.read_text(encoding="utf8"))
    for pointer in pointers:
        *parents, last = steps_of(pointer)
        place = root
        for step in parents:
            place = place[int(step)] if isinstance(place, list) else place[step]
        del place[int(last) if isinstance(place, list) else last]
    path.write_text(json.dumps(root, ensure_ascii=False), encoding="utf8")


def edit_tensors(folder, edit):
    path = folder / edit["tensors"]
    tensors = load_file(path) if path.exists() else {}
    shards = None
    for step in edit["do"]:
        if "cast" in step:
            for name, tensor in tensors.items():
                if tensor.is_floating_point() and step.get("in", "") in name:
                    tensors[name] = tensor.to(DTYPES[step["cast"]])
        elif "rename" in step:
            tensors = {name.replace(step["rename"], step["to"]): tensor for name, tensor in tensors.items()}
        elif "drop" in step:
            dropped = [name for name in tensors if step["drop"] in name]
            assert dropped, step
            for name in dropped:
                del tensors[name]
        elif "copy" in step:
            tensors[step["to"]] = tensors[step["copy"]] * step.get("scale", 1.0)
        elif "fill" in step:
            value = {"-inf": float("-inf"), "lowest": torch.finfo(torch.float32).min}.get(step["value"], step["value"])
            tensors[step["fill"]][step["from"] : step["until"]] = value
        elif "add_rows" in step:
            tensor = tensors[step["add_rows"]]
            rows = tensor[step["like"] : step["like"] + step["count"]] * step["scale"]
            tensors[step["add_rows"]] = torch.cat([tensor, rows])
        elif "random" in step:
            tensors[step["random"]] = scattered(step)
        elif "shards" in step:
            shards = step["shards"]
        else:
            raise ValueError(f"no such step: {step}")
    tensors = {name: tensor.clone().contiguous() for name, tensor in tensors.items()}
    if shards is None:
        save_file(tensors, path, metadata={"format": "pt"})
        return
    path.unlink()
    index = {}
    for number, marks in enumerate(shards + [None]):
        name = f"model-{number + 1:05}-of-{len(shards) + 1:05}.safetensors"
        of_shard = [key for key in tensors if key not in index and (marks is None or any(mark in key for mark in marks))]
        index.update({key: name for key in of_shard})
        save_file({key: tensors[key] for key in of_shard}, folder / name, metadata={"format": "pt"})
    total = sum(tensor.nbytes for tensor in tensors.values())
    text = json.dumps({"metadata": {"total_size": total}, "weight_map": index})
    (folder / "model.safetensors.index.json").write_text(text)


def scattered(step):
    """Numbers in [-scale, scale) from a linear congruence, the same in every language; integers count up."""
    size = 1
    for extent in step["shape"]:
        size *= extent
    if step.get("dtype") == "i64":
        return torch.arange(size, dtype=torch.int64).reshape(step["shape"])
    state, values = step["seed"], []
    for _ in range(size):
        state = (state * 1103515245 + 12345) % 2147483648
        values.append(((state >> 15) / 32768.0 - 1.0) * step["scale"])
    return torch.tensor(values, dtype=torch.float64).to(torch.float32).reshape(step["shape"])


# pytorch_model.bin in the ways that people save it: a BERT of one layer, 8 wide.


class Printer:
    """Unpickled, it would print; stands for any code that a pickle may run."""

    def __reduce__(self):
        return (print, ("this ran",))


def write_files():
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(14)
    config = BertConfig(
        vocab_size=495, hidden_size=8, intermediate_size=16, num_attention_heads=2, num_hidden_layers=1,
        max_position_embeddings=64, initializer_range=0.6,
    )
    model = BertForMaskedLM(config).eval()
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            parameter.data = (1.0 if name.endswith("LayerNorm.weight") else 0.0) + 0.3 * torch.randn_like(parameter)
    model.cls.predictions.decoder.bias = model.cls.predictions.bias
    folder = HERE / "files"
    folder.mkdir(exist_ok=True)
    state = model.state_dict()
    plain = {name: tensor for name, tensor in state.items() if "decoder" not in name}
    torch.save(state, folder / "state-dict.bin")
    halves = {name: tensor.half() for name, tensor in plain.items()}
    torch.save(halves, folder / "f16.bin")
    mixed = {name: t.double() if "LayerNorm" in name else t.bfloat16() for name, t in plain.items()}
    torch.save(mixed, folder / "bf16-f64.bin")
    torch.save(views_of(plain), folder / "views.bin")
    torch.save({name: torch.nn.Parameter(tensor) for name, tensor in halves.items()}, folder / "parameters.bin")
    torch.save(halves, folder / "legacy.bin", _use_new_zipfile_serialization=False)
    torch.save({"state_dict": halves, "epoch": 3}, folder / "nested.bin")
    torch.save({"bert.embeddings.word_embeddings.weight": Printer()}, folder / "code.bin")
    return 0


def views_of(state):
    """The same tensors as views: one storage for all vectors, and products stored transposed."""
    vectors = torch.cat([tensor for tensor in state.values() if tensor.dim() == 1])
    start, views = 0, {}
    for name, tensor in state.items():
        if tensor.dim() == 1:
            views[name] = vectors[start : start + len(tensor)]
            start += len(tensor)
        else:
            views[name] = tensor.half().t().contiguous().t()
    return views


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
