"""Makes one folder of a kind: a copy of its base, edited. tests/it/variants does the same, operation by operation.

`write_files` makes the checkpoints in files/, which only PyTorch can write.
"""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

HERE = Path(__file__).resolve().parent
BOOK = json.loads((HERE / "kinds.json").read_text(encoding="utf8"))
DTYPES = {"f64": torch.float64, "f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "i64": torch.int64}


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
