#!/usr/bin/env python3
"""Kills runs with SIGKILL at random moments, resumes them, and compares with a run that nobody disturbed.

    python tests/kill/kill_and_resume.py target/release/neural-sparse [KILLS]

A run is killed again and again until it comes to its end; the kills are spread over plain, gzip and zstd output.
"""

import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time


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

        def command(output, *more):
            named = [program, "encode", "--model", "tiny", "--keep", "wide", "--input", docs, "--output", output]
            return [*named, "--on-error", "skip", "--rejects", f"{output}.rejects", *more]

        done = {".jsonl": 0, ".jsonl.gz": 0, ".jsonl.zst": 0}
        resumed = runs = 0
        whole, seconds = {}, {}
        for suffix in done:
            output = folder / f"whole{suffix}"
            start = time.time()
            assert subprocess.run(command(output, "--quiet")).returncode == 3
            seconds[suffix] = time.time() - start
            whole[suffix] = output.read_bytes(), pathlib.Path(f"{output}.rejects").read_bytes()
        while sum(done.values()) < kills:
            suffix = min(done, key=done.get)
            output = folder / f"killed{suffix}"
            runs += 1
            while True:
                child = subprocess.Popen(command(output, "--resume"), stderr=subprocess.PIPE, text=True)
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
            rejects = pathlib.Path(f"{output}.rejects")
            assert output.read_bytes() == whole[suffix][0], f"{output} differs"
            assert rejects.read_bytes() == whole[suffix][1], f"{rejects} differs"
            left = sorted(path.name for path in folder.glob("killed*"))
            assert left == [output.name, rejects.name], left
            output.unlink()
            rejects.unlink()
        print(f"{sum(done.values())} kills {done} in {runs} runs, {resumed} times gone on from a point: the same bytes")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
