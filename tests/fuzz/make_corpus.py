"""Writes the seeds and the dictionary of the fuzz target `model_spec`.

    python3 tests/fuzz/make_corpus.py [MODEL_FOLDER ...]

A seed is the settings and vocabularies of one folder, of each in tests/fixtures and of those that are named, in the form
that the target takes apart; tensors are empty, and lists are cut to a few elements, since what the spec reads of a file
does not grow with its vocabulary. The dictionary has every key and short value in tests/fixtures/keys.json.
Needs nothing but Python.
"""

import hashlib
import json
import sys
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


def main():
    models = sorted({path.parent for path in FIXTURES.rglob("*.json") if path.parent.parent == FIXTURES})
    models += [Path(argument) for argument in sys.argv[1:]]
    seeds = [seed(model) for model in models] + [other_seed(files) for files in OTHERS.values()]
    corpus = HERE / "corpus" / "model_spec"
    corpus.mkdir(parents=True, exist_ok=True)
    written = set()
    for content in seeds:
        if len(content) > 1:
            name = hashlib.sha1(content).hexdigest()
            (corpus / name).write_bytes(content)
            written.add(name)
    found: set = set()
    words(json.loads((FIXTURES / "keys.json").read_text()), found)
    plain = sorted(word for word in found if 1 < len(word) <= 40 and word.isascii() and word.isprintable())
    entries = [json.dumps(json.dumps(word)) for word in plain]
    entries += [f'"\\xff{folder}{name}"' for folder in "abcdefghij" for name in "abcdefghijklmnopqrstuv"]
    (HERE / "model_spec.dict").write_text("".join(entry + "\n" for entry in entries))
    print(f"{len(written)} seeds of {max(map(len, seeds))} bytes at most, {len(entries)} words")


main()
