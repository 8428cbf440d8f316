#!/usr/bin/env python3
"""Kills runs with SIGKILL at random moments, resumes them, and compares with a run that nobody disturbed.

    python tests/kill/kill_and_resume.py target/release/neural-sparse [KILLS]

A run is killed again and again until it comes to its end; the kills are spread over plain, gzip and zstd output, an
index, and formats whose files are made of all rows.
"""

import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time


# The kinds of output, by what is added to their names, and the format of each.
FORMATS = {
    ".jsonl": "jsonl",
    ".jsonl.gz": "jsonl",
    ".jsonl.zst": "jsonl",
    "index": "index",
    ".ciff": "ciff",
    ".npz": "csr-npz",
}


def write_rows(path, count):
    words = "river house winter summer table market letter garden window story paper".split()
    chance = random.Random(1)
    with open(path, "w") as file:
        for number in range(count):
            if number % 50 == 49:
                file.write('{"id": null}\n')
                continue
            text = " ".join(chance.choices(words, k=chance.randrange(1, 60)))
            # The wide field fills parts of compressed files, between which runs can go on.
            wide = "%x" % chance.getrandbits(40_000)
            file.write(json.dumps({"id": number, "text": text, "wide": wide}) + "\n")


def main(program, kills="100"):
    kills, chance = int(kills), random.Random(2)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        docs = folder / "docs.jsonl"
        write_rows(docs, 1500)

        def command(kind, output, *more):
            """What makes `output`, which is a folder for an index."""
            made = ["index", "build"] if kind == "index" else ["encode", "--format", FORMATS[kind]]
            # These have no place for the wide field.
            keep = [] if FORMATS[kind] in ("ciff", "csr-npz") else ["--keep", "wide"]
            named = [program, *made, "--model", "tiny", *keep, "--input", docs, "--output", output]
            return [*named, "--on-error", "skip", "--rejects", f"{output}.rejects", *more]

        def files(output):
            """Every file that a run has left of its output, by name."""
            found = [path for path in folder.rglob("*") if path.is_file() and path.is_relative_to(output)]
            found += [path for path in folder.glob(f"{output.name}*") if path.is_file()]
            names = {str(path.relative_to(folder)).removeprefix(output.stem): path for path in found}
            return {name: path.read_bytes() for name, path in names.items()}

        done = dict.fromkeys(FORMATS, 0)
        resumed = runs = 0
        whole, seconds = {}, {}
        for suffix in done:
            output = folder / f"whole{suffix}"
            start = time.time()
            assert subprocess.run(command(suffix, output, "--quiet")).returncode == 3
            seconds[suffix] = time.time() - start
            whole[suffix] = files(output)
        while sum(done.values()) < kills:
            suffix = min(done, key=done.get)
            output = folder / f"killed{suffix}"
            runs += 1
            while True:
                child = subprocess.Popen(command(suffix, output, "--resume"), stderr=subprocess.PIPE, text=True)
                try:
                    _, said = child.communicate(timeout=chance.uniform(0.05, 0.7) * seconds[suffix])
                except subprocess.TimeoutExpired:
                    child.kill()
                    _, said = child.communicate()
                    done[suffix] += 1
                resumed += said.startswith("note: going on after")
                if child.returncode in (0, 3):
                    break
                assert child.returncode == -9, (child.returncode, said)
            found = files(output)
            assert sorted(found) == sorted(whole[suffix]), (sorted(found), sorted(whole[suffix]))
            for name, content in found.items():
                assert content == whole[suffix][name], f"{output}: {name} differs"
            for path in folder.glob("killed*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        print(f"{sum(done.values())} kills {done} in {runs} runs, {resumed} times gone on from a point: the same bytes")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
