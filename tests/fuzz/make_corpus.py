"""Writes the seeds of the fuzz targets, and the dictionary of `model_spec`.

    python3 tests/fuzz/make_corpus.py [FOLDER ...]

Further folders are of models, and of files with rows, matrices, runs and judgements.

A seed of `model_spec` is the settings and vocabularies of one folder, of each in tests/fixtures and of those that are named, in the form
that the target takes apart; tensors are empty, and lists are cut to a few elements, since what the spec reads of a file
does not grow with its vocabulary. The dictionary has every key and short value in tests/fixtures/keys.json.
Needs nothing but Python, and for `index_file` a build of the program in target/: its seeds are small indexes.
"""

import gzip
import hashlib
import json
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
FIXTURES = HERE.parent / "fixtures"
FOLDERS = (HERE / "folders.txt").read_text().split("\n")[:-1]
FILES = (HERE / "files.txt").read_text().split("\n")[:-1]
SEPARATOR = b"\xff"

# What these hold is a vocabulary, at the top already.
VOCABULARIES = ("idf.json", "vocab.json")

# The most elements of a list or an object, and lines of a text.
KEPT = 12


def letter(names: list[str], name: str) -> bytes:
    return bytes([ord("a") + names.index(name)])


def cut(value, keeps_all: bool):
    """`value` with few elements in each list and object."""
    if isinstance(value, list):
        return [cut(element, False) for element in value[:KEPT]]
    if isinstance(value, dict):
        items = list(value.items())
        return {key: cut(element, False) for key, element in (items if keeps_all else items[:KEPT])}
    return value


def short(path: Path) -> bytes:
    if path.suffix in (".safetensors", ".bin"):
        return b""
    text = path.read_text()
    if path.suffix == ".txt":
        return "".join(text.splitlines(keepends=True)[:KEPT]).encode()
    return json.dumps(cut(json.loads(text), path.name not in VOCABULARIES), ensure_ascii=False, indent=None).encode()


def seed(model: Path) -> bytes:
    parts = []
    for path in sorted(model.rglob("*")):
        folder = path.parent.relative_to(model).as_posix().removeprefix(".")
        if path.is_file() and folder in FOLDERS and path.name in FILES:
            parts.append(letter(FOLDERS, folder) + letter(FILES, path.name) + short(path))
    # Of no known model.
    return b"-" + b"".join(SEPARATOR + part for part in parts)


# What the fixtures lack: a file of every name, and an adapter.
OTHERS = {
    "adapter": {
        "config.json": {"model_type": "bert", "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1,
                        "intermediate_size": 8, "vocab_size": 9, "max_position_embeddings": 16},
        "model.safetensors": None,
        "vocab.txt": "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n",
        "adapter_model.safetensors": None,
        "adapter_config.json": {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["query", "value"],
                                "rank_pattern": {"layer.0.*query": 2}, "alpha_pattern": {"value": 1.5},
                                "layers_to_transform": [0], "layers_pattern": ["layer"], "bias": "lora_only",
                                "modules_to_save": ["decoder"], "base_model_name_or_path": "a/b",
                                "use_rslora": False, "exclude_modules": ".*key"},
    },
    "bpe": {
        "config.json": {"model_type": "roberta", "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1,
                        "intermediate_size": 8, "vocab_size": 9, "max_position_embeddings": 16, "pad_token_id": 1},
        "vocab.json": {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4},
        "merges.txt": "#version: 0.2\n",
        "added_tokens.json": {"[X]": 5, "[Y]": 6},
        "special_tokens_map.json": {"additional_special_tokens": ["[X]"], "bos_token": {"content": "<s>"}},
        "tokenizer_config.json": {"tokenizer_class": "RobertaTokenizer", "extra_special_tokens": ["[Z]"],
                                  "model_max_length": 8, "truncation_side": "left"},
        "pytorch_model.bin.index.json": {"weight_map": {"a": "pytorch_model-1.bin", "b": "pytorch_model-2.bin"}},
    },
}


def other_seed(files: dict) -> bytes:
    parts = []
    for name, content in files.items():
        text = "" if content is None else content if isinstance(content, str) else json.dumps(content)
        parts.append(SEPARATOR + letter(FOLDERS, "") + letter(FILES, name) + text.encode())
    return b"-" + b"".join(parts)


def words(value, found: set):
    """Every key and string in keys.json, but for the names of the libraries that write a key."""
    if isinstance(value, dict):
        value = {key: element for key, element in value.items() if key != "by"}
        found.update(value)
        value = list(value.values())
    if isinstance(value, list):
        for element in value:
            words(element, found)
    elif isinstance(value, str):
        found.add(value)


# The most bytes of a file of rows, cut after a line.
ROWS_KEPT = 1500

# The formats of rows, in the order of `rows.rs`.
ROW_FORMATS = ("jsonl", "csv", "tsv", "lines", "anserini")

# What no file in the folders shows.
ROWS = {
    "jsonl": [
        '{"id":1,"vector":[{"index":3,"value":0.5},{"index":4,"value":1e-3}],"chunk":2}\n',
        '{"id":"a","indices":[1,2],"values":[0.25,3]}\n\n{"query":"a","document":"b"}\n',
        '{"_id":"\\u00e9","title":null,"text":"\\ud83d\\ude00","text.x":{"y":1}}\n[{"a":1},\n{\n "a": 1\n}\n',
    ],
    "csv": ['\ufeffid,text\r\n1,"a ""b"",\r\nc"\r\n\r\n2,plain\n3\n4,"",\n5,"open\n'],
    "tsv": ["q1\tone text\n\nq2\ttwo\ttabs\r\n"],
    "lines": ["one\r\n\n  two\nlast"],
    "anserini": ['{"id":"a","contents":"x","vector":{"new":120,"york":33}}\n'],
}

# Runs and judgements.
JUDGEMENTS = (
    "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t-1\nq2\td1\t0\n",
    "q1 0 d1 2\nq1 0 d2 0\nq2 0 d3 1\n",
)
RUNS = ("q1 Q0 d1 1 2.5 tag\nq1 Q0 d2 2 2.5 tag\nq2 Q0 d3 1 -1e3 tag\nq3 Q0 d3 1 0.1 tag\n",)


def cut_rows(content: bytes) -> bytes:
    return content[: content.rfind(b"\n", 0, ROWS_KEPT) + 1] or content[:ROWS_KEPT]


def zstd_frame(content: bytes) -> bytes:
    """A frame of one block that is not compressed; Python has no zstd of its own."""
    content = content[:255]
    return b"\x28\xb5\x2f\xfd\x20" + bytes([len(content)]) + struct.pack("<I", len(content) << 3 | 1)[:3] + content


def row_seeds(files: list) -> list:
    seeds = []
    for path in files:
        if path.suffix in (".jsonl", ".json", ".anserini", ".trec", ".tsv", ".csv", ".gz", ".txt", ".ids"):
            content = path.read_bytes()
            content = content[:4000] if path.suffix == ".gz" else cut_rows(content)
            kinds = [ROW_FORMATS.index(kind) for kind in ROW_FORMATS if path.suffix == f".{kind}"] or [0, 3]
            seeds += [bytes([kind, 12]) + content for kind in kinds]
    for kind, texts in ROWS.items():
        for text in texts:
            for content in (text.encode(), gzip.compress(text.encode(), mtime=0), zstd_frame(text.encode())):
                seeds += [bytes([ROW_FORMATS.index(kind), limit]) + content for limit in (3, 12)]
    return seeds


def npz_seeds(files: list) -> list:
    seeds = []
    for path in files:
        if path.suffix != ".npz" or path.stat().st_size > 100_000:
            continue
        seeds.append(b"\x00" + path.read_bytes())
        # A copy without its sums, for the others: a damaged one cannot be read.
        try:
            with zipfile.ZipFile(path) as archive:
                arrays = [archive.read(f"{name}.npy") for name in ("format", "shape", "indptr", "indices", "data")]
        except (KeyError, zipfile.BadZipFile):
            continue
        parts = b"".join(struct.pack("<H", len(array)) + array for array in arrays)
        seeds += [bytes([mode]) + parts + b"a\nb\nc\n" for mode in (1, 2, 3)]
    return seeds


def judgement_seeds(files: list) -> list:
    """Judgements, a byte that no text has, and a run."""
    trec = [cut_rows(path.read_bytes()) for path in files if path.suffix == ".trec" or "qrels" in path.name]
    judgements = [text.encode() for text in JUDGEMENTS] + [text for text in trec if b"Q0" not in text]
    runs = [text.encode() for text in RUNS] + [text for text in trec if b"Q0" in text]
    return [judged + b"\xff" + run for judged in judgements for run in runs]


# The first line of a journal.
MAGIC = b"neural-sparse journal 2\n"


def points():
    """What runs over the input of `journal.rs` record: after each line, at the end, and what none can have come to."""
    places = [(4, 1, 4, 0), (8, 2, 8, 0), (15, 4, 15, 0), (17, 5, 15, 30), (22, 6, 20, 30)]
    for end, line, output, rejects in places:
        tally = {name: 0 for name in ("rejected", "truncated", "blank_lines", "duplicate_ids", "tokens", "vectors",
                                      "terms", "max_terms")}
        tally |= {"rows_in": line, "rows_out": line, "ids_compared": line, "findings": {"rows that x": 2}}
        tally["rejected"] = 1 if rejects else 0
        yield {"output": output, "rejects": rejects, "rejects_path": None, "sample": "", "tally": tally, "seconds": 1.5,
               "position": {"file": 0, "offset": end, "raw": end, "line": line}, "is_complete": end == 22}
    last = {"output": 4, "rejects": 0, "rejects_path": "/dev/shm/x", "sample": "", "tally": tally, "seconds": 1e300,
            "position": {"file": 1, "offset": 1 << 63, "raw": 3, "line": (1 << 64) - 1}, "is_complete": False}
    yield last


def journal_seeds(files: list) -> list:
    """Records, and the unfinished output and rejects; records get their digits from the target."""
    run = json.dumps({"run": {"settings": {"format": "echo", "neural-sparse": "0.1.0"}, "model_sha256": None, "inputs": [
        {"name": "in.txt", "size": 22, "sha256": "0" * 64}]}}).encode()
    records = [json.dumps({"point": point}).encode() for point in points()]
    output, rejects = b"one\ntwo\nthree\nfour\n", b"x" * 30
    texts = [run + b"\n" + b"\n".join(records[:count]) + b"\n" for count in range(len(records) + 1)]
    texts += [record + b"\n" for record in records] + [run + b"\n" + run + b"\n", b"", b"{"]
    seeds = [bytes([mode]) + text + b"\xff" + output + b"\xff" + rejects for text in texts for mode in (1, 2)]

    def with_digits(text: bytes) -> bytes:
        return b"".join(hashlib.sha256(line).hexdigest()[:16].encode() + b" " + line + b"\n" for line in text.splitlines())

    seeds += [b"\0" + MAGIC + with_digits(text) + b"\xff" + output for text in texts]
    seeds += [b"\0" + path.read_bytes() for path in files if path.suffix == ".journal"]
    return seeds + [b"\0Dear diary\n\xffx", b"\0" + bytes(30), b"\0" + MAGIC[:9]]


def write(target: str, seeds: list):
    corpus = HERE / "corpus" / target
    corpus.mkdir(parents=True, exist_ok=True)
    for content in seeds:
        (corpus / hashlib.sha1(content).hexdigest()).write_bytes(content)
    print(f"{target}: {len(seeds)} seeds of {max(map(len, seeds))} bytes at most")


# Vectors that are enough for a list of several postings, a document without terms, and weights of all sizes.
VECTORS = [
    {"id": "a", "title": "x", "vector": {"rain": 1.5, "sun": 0.25, "##s": 2}},
    {"id": 2, "vector": {"rain": 0.5, "wind": 3e38}},
    {"id": "01", "vector": {}},
    {"id": "d", "n": {"m": [1]}, "vector": {"rain": 1e-40, "sun": 3e38, "\u00e9": 1}},
]


def index_seeds(program: Path):
    """Indexes of few documents and of none, and one of several windows, each as it is and without its checksums."""
    many = [{"id": n, "vector": {"a": 1 + n % 7, f"b{n % 3}": 0.5}} for n in range(4100)]
    with tempfile.TemporaryDirectory() as folder:
        for codec in ["f32", "lucene9", "f16", "u8"]:
            # One of several windows is enough: inputs that large are slow.
            for number, rows in enumerate([VECTORS, [], many] if codec == "f32" else [VECTORS, []]):
                rows_path, index = Path(folder, f"{number}.jsonl"), Path(folder, f"{codec}{number}")
                rows_path.write_text("".join(json.dumps(row) + "\n" for row in rows))
                subprocess.run([program, "index", "build", "--quiet", "--input", rows_path, "--output", index,
                                "--keep-all", "--codec", codec, "--model", "tiny"], check=True)
                content = (index / "index.nsi").read_bytes()
                start, length = struct.unpack_from("<QQ", content, 64 + 16 * 10)
                yield b"\0" + content
                for mode in (1, 3, 5):
                    yield bytes([mode]) + content[: start + length]


def write_seeds(target: str, seeds) -> set:
    corpus = HERE / "corpus" / target
    corpus.mkdir(parents=True, exist_ok=True)
    written = set()
    for content in seeds:
        name = hashlib.sha1(content).hexdigest()
        (corpus / name).write_bytes(content)
        written.add(name)
    return written


def main():
    folders = [FIXTURES, *(Path(argument) for argument in sys.argv[1:])]
    files = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    write("rows", row_seeds(files))
    write("npz", npz_seeds(files))
    write("judgements", judgement_seeds(files))
    write("journal", journal_seeds(files))
    models = sorted({path.parent for path in FIXTURES.rglob("*.json") if path.parent.parent == FIXTURES})
    models += [Path(argument) for argument in sys.argv[1:]]
    seeds = [seed(model) for model in models] + [other_seed(files) for files in OTHERS.values()]
    written = write_seeds("model_spec", [content for content in seeds if len(content) > 1])
    programs = [HERE.parent.parent / "target" / profile / "neural-sparse" for profile in ("release", "debug")]
    program = next((program for program in programs if program.exists()), None)
    if program:
        print(f"{len(write_seeds('index_file', index_seeds(program)))} indexes by {program}")
    else:
        print("no program in target/, so no seeds of index_file")
    found: set = set()
    words(json.loads((FIXTURES / "keys.json").read_text()), found)
    plain = sorted(word for word in found if 1 < len(word) <= 40 and word.isascii() and word.isprintable())
    entries = [json.dumps(json.dumps(word)) for word in plain]
    entries += [f'"\\xff{folder}{name}"' for folder in "abcdefghij" for name in "abcdefghijklmnopqrstuv"]
    (HERE / "model_spec.dict").write_text("".join(entry + "\n" for entry in entries))
    print(f"{len(written)} seeds of {max(map(len, seeds))} bytes at most, {len(entries)} words")


main()
