#!/usr/bin/env python3
"""Encode the same texts with neural-sparse, ONNX Runtime and OpenVINO, in turn, and print the ratios.

    pip install numpy torch transformers onnx onnxruntime onnxscript openvino
    cargo build --release
    python tests/bench/compare.py MODEL_DIR TEXTS.jsonl [--n 200] [--rounds 3] [--threads 2]

Peers run the checkpoint exported with the published pooling, in f32, sorted by length and padded to the longest of a
batch: the best they do. Each run is a process of its own, so its peak memory is its own; the time is that of reading,
tokenizing, encoding and, for ours, writing, without loading the model. Batch sizes 1, 4 and 8 are tried once, the best of each peer is
then measured in turn with ours, and so is ONNX Runtime at 32. A query is of 12 tokens, warm.
"""
import argparse, json, os, resource, statistics, subprocess, sys, tempfile, time

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../target/release/neural-sparse")


def texts(path, count):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line)["text"] for _, line in zip(range(count), lines)]


def export(model_dir, path):
    import torch
    from transformers import AutoModelForMaskedLM

    class Pooled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = AutoModelForMaskedLM.from_pretrained(model_dir, attn_implementation="eager").eval()

        def forward(self, input_ids, attention_mask):
            logits = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
            return torch.log1p(torch.relu(torch.amax(logits * attention_mask.unsqueeze(-1), dim=1)))

    example = torch.ones(2, 8, dtype=torch.long)
    axes = {"input_ids": {0: "n", 1: "t"}, "attention_mask": {0: "n", 1: "t"}, "weights": {0: "n"}}
    names = dict(input_names=["input_ids", "attention_mask"], output_names=["weights"], dynamic_axes=axes)
    torch.onnx.export(Pooled(), (example, example), path, opset_version=17, dynamo=False, **names)


def session(kind, onnx, threads):
    """A function of (input_ids, attention_mask), both (N, T) of int64."""
    if kind == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        run = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"]).run
        return lambda ids, mask: run(None, {"input_ids": ids, "attention_mask": mask})[0]
    import openvino

    options = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(onnx, "CPU", options)
    return lambda ids, mask: model({"input_ids": ids, "attention_mask": mask})[0]


def peer(kind, batch, args):
    """One run of a peer, in this process; its figures as JSON on standard output."""
    import numpy as np
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(os.path.join(args.model, "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(512)
    documents = texts(args.texts, args.n)
    run = session(kind, args.onnx, args.threads)
    run(np.ones((1, 8), np.int64), np.ones((1, 8), np.int64))
    start = time.time()
    encoded = sorted((text.ids for text in tokenizer.encode_batch(documents)), key=len, reverse=True)
    terms = 0
    for first in range(0, len(encoded), batch):
        rows = encoded[first : first + batch]
        ids = np.zeros((len(rows), len(rows[0])), np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        terms += int((run(ids, mask) > 0).sum())
    seconds = time.time() - start
    queries = []
    for tokens in encoded[-60:]:
        query = np.array([(tokens * 12)[:12]])
        start = time.time()
        run(query, np.ones_like(query))
        queries.append(time.time() - start)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    tokens = sum(map(len, encoded))
    print(json.dumps([tokens / seconds, statistics.median(queries[10:]) * 1e3, memory, terms / len(encoded)]))


def ours(args):
    """The same figures of a run of neural-sparse."""
    with tempfile.TemporaryDirectory() as folder:
        rows, summary = os.path.join(folder, "rows.jsonl"), os.path.join(folder, "summary.json")
        with open(rows, "w", encoding="utf-8") as lines:
            lines.writelines(json.dumps({"text": text}) + "\n" for text in texts(args.texts, args.n))
        command = [PROGRAM, "encode", "--model", args.model, "--threads", str(args.threads), "--quiet"]
        subprocess.run(command + ["--input", rows, "--output", rows + ".out", "--summary", summary], check=True)
        figures = json.load(open(summary))
    words = "river house winter summer table market letter garden window story paper".split()
    queries = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        for number in range(60):
            query = " ".join(words[(number * place + place * place) % 11] for place in range(10))
            start = time.time()
            process.stdin.write(query + "\n")
            process.stdin.flush()
            process.stdout.readline()
            queries.append(time.time() - start)
        process.stdin.close()
    memory = figures["peak_memory_bytes"] / 1e6
    return [figures["tokens_per_second"], statistics.median(queries[10:]) * 1e3, memory, figures["mean_terms"]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("texts")
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--peer", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.onnx = args.model.rstrip("/") + "-pooled.onnx"
    if args.peer:
        return peer(args.peer[0], int(args.peer[1]), args)
    if not os.path.exists(args.onnx):
        export(args.model, args.onnx)

    def measure(side):
        if side == ("neural-sparse", 0):
            return ours(args)
        command = [sys.executable, __file__, args.model, args.texts, "--n", str(args.n)]
        command += ["--threads", str(args.threads), "--peer", side[0], str(side[1])]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)

    sides = [("neural-sparse", 0), ("onnxruntime", 32)]
    for kind in ["onnxruntime", "openvino"]:
        speeds = {batch: measure((kind, batch))[0] for batch in [1, 4, 8]}
        print(kind, {batch: round(speed) for batch, speed in speeds.items()}, "tokens/s by batch size", flush=True)
        sides.append((kind, max(speeds, key=speeds.get)))
    runs = {side: [] for side in sides}
    for _ in range(args.rounds):
        for side in sides:
            runs[side].append(measure(side))
    mine = runs[sides[0]]
    for side in sides:
        speed, query, memory, terms = (statistics.median(column) for column in zip(*runs[side]))
        name = side[0] + (f" (batch {side[1]})" if side[1] else "")
        print(f"{name}: {speed:.0f} tokens/s, a query {query:.1f} ms, {memory:.0f} MB, {terms:.2f} terms")
        if side[1]:
            ratios = sorted(our[0] / their[0] for our, their in zip(mine, runs[side]))
            faster = sorted(their[1] / our[1] for our, their in zip(mine, runs[side]))
            middle = len(ratios) // 2
            print(f"  neural-sparse is {ratios[middle]:.2f} times as fast ({ratios[0]:.2f} … {ratios[-1]:.2f}),", end=" ")
            print(f"in a query {faster[middle]:.2f} times ({faster[0]:.2f} … {faster[-1]:.2f})", flush=True)


if __name__ == "__main__":
    main()
