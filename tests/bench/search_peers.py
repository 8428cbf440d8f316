#!/usr/bin/env python3
"""Search the same vectors with neural-sparse, PISA, BMP, Seismic and scipy, in turn, and print what a query takes.

    pip install -r tests/bench/search_peers.txt
    cargo build --release && cargo bench --bench search --no-run
    python tests/bench/search_peers.py make VECTORS.jsonl --base ENCODED.jsonl --n 100000
    python tests/bench/search_peers.py run neural-sparse BENCH VECTORS.jsonl QUERIES.jsonl FOLDER [--k 10 1000]

BENCH is what the second command names: target/release/deps/search-…. QUERIES.jsonl is what `encode --as query` writes.
FOLDER keeps the matrix and the indexes, and a second run takes them from there.

`make` writes a collection of any size out of encoded documents: each has from half to all of the terms of one document and
of another, of a term that both have the larger weight, every weight times e^N(0, 0.2). So the lengths, the lists and the
weights are much like a model's, but documents of the same parents are closer than those of a real collection would be, and
stand in no order that would help whoever prunes by blocks.

Every side is a process that holds its index, takes all queries one after the other on one thread, and is asked in turn. A
figure is microseconds a query: wall time, and the processor time of that process, which another load on the machine
disturbs less; the median of the rounds with the least and the most. The ratio is the median of the rounds' own: the side's
processor time to ours. Sides are held against the matrix product first: the recall is how many of its best k they find.

Leave a peer out by naming the others after --peers; scipy has to be among them. Seismic and BMP take long to build.

What they count in is their own: PISA's impacts are round(50 w), queries as they are; BMP's are bytes, queries whole
numbers up to 32; Seismic's weights are f16. Neural-sparse and scipy are f32. Ours hands out numbers of documents, scipy
places; the others make ids of them too. BMP's batch, which saves what a single query has to prepare, reads its files each
time: its figure is what it says itself, wall time without reading, and so is its ratio.
"""
import argparse, itertools, json, math, operator, os, pathlib, re, statistics, subprocess, sys, tempfile, time

PISA = ["maxscore", "block_max_maxscore", "block_max_wand"]
# (query_cut, heap_factor): what its authors found best on MS MARCO, what its manual shows, and nothing but the blocks cut.
SEISMIC = [(10, 0.9), (20, 0.7), (1000, 0.7)]
# (alpha, beta): exact, and what its authors show besides.
BMP = [(1.0, 1.0), (0.85, 0.8)]
# By what weights are multiplied to be whole numbers; at 50, what few of them pass 255, the most of BMP.
SCALE = 50


def rows(path):
    with open(path, "rb") as lines:
        for line in lines:
            row = json.loads(line)
            yield str(row.get("_id", row.get("id"))), row["vector"]


def make(args):
    import numpy as np

    numbers, terms, weights, lengths = {}, [], [], []
    for path in args.base:
        for _, vector in rows(path):
            terms += [numbers.setdefault(term, len(numbers)) for term in vector]
            weights += vector.values()
            lengths.append(len(vector))
    terms, weights, lengths = np.array(terms), np.array(weights), np.array(lengths)
    starts = np.cumsum(lengths) - lengths
    names = [json.dumps(term, ensure_ascii=False) + ":" for term in numbers]
    # A weight has four decimals, so that its text can be looked up.
    texts = [str(number / 10000) for number in range(200_000)]
    random = np.random.default_rng(args.seed)
    with open(args.output, "w", encoding="utf-8") as lines:
        for first in range(0, args.n, 1000):
            count = min(1000, args.n - first)
            parents = random.integers(len(lengths), size=2 * count)
            owners = np.repeat(np.arange(2 * count), lengths[parents])
            places = np.arange(len(owners)) + (starts[parents] - np.cumsum(lengths[parents]) + lengths[parents])[owners]
            taken = random.random(len(owners)) < random.uniform(0.5, 1, 2 * count)[owners]
            owners, places = owners[taken], places[taken]
            keys = owners // 2 * len(names) + terms[places]
            order = np.lexsort((-weights[places], keys))
            keys, places = keys[order], places[order]
            largest = np.append(True, keys[1:] != keys[:-1])
            documents, kept = np.divmod(keys[largest], len(names))
            jittered = weights[places[largest]] * np.exp(random.normal(0, 0.2, len(kept)))
            jittered = np.clip(np.rint(jittered * 10000), 1, len(texts) - 1).astype(int)
            pairs = map(operator.add, map(names.__getitem__, kept.tolist()), map(texts.__getitem__, jittered.tolist()))
            for number, length in enumerate(np.bincount(documents, minlength=count).tolist(), first):
                vector = ",".join(itertools.islice(pairs, length))
                lines.write(f'{{"id":{number},"vector":{{{vector}}}}}\n')


def write_matrix(vectors, folder):
    """The vectors by document and by term, as arrays that the sides map."""
    import array
    import numpy as np
    import scipy.sparse

    numbers, ids, lengths, terms, weights = {}, [], array.array("q", [0]), array.array("i"), array.array("f")
    for identifier, vector in rows(vectors):
        ids.append(identifier)
        terms.extend([numbers.setdefault(term, len(numbers)) for term in vector])
        weights.extend(vector.values())
        lengths.append(len(terms))
    # PISA looks terms up by bisection.
    names = sorted(numbers, key=str.encode)
    place = np.empty(len(names), np.int32)
    place[[numbers[name] for name in names]] = np.arange(len(names), dtype=np.int32)
    arrays = np.frombuffer(weights, np.float32), place[np.frombuffer(terms, np.int32)], np.frombuffer(lengths, np.int64)
    matrix = scipy.sparse.csr_matrix(arrays, (len(ids), len(names)))
    for name, form in (("documents", matrix), ("lists", matrix.tocsc())):
        for part in ("data", "indices", "indptr"):
            np.save(folder / f"{name}-{part}.npy", getattr(form, part))
    (folder / "names.json").write_text(json.dumps({"terms": names, "ids": ids}))


class Collection:
    """What `write_matrix` has written, and the queries."""

    def __init__(self, folder, queries):
        self.folder = pathlib.Path(folder)
        names = json.loads((self.folder / "names.json").read_text())
        self.terms, self.ids = names["terms"], names["ids"]
        self.queries = [vector for _, vector in rows(queries)]

    def arrays(self, name):
        import numpy as np

        return [np.load(self.folder / f"{name}-{part}.npy", mmap_mode="r") for part in ("data", "indices", "indptr")]


def impacts(weights, scale, most=None):
    import numpy as np

    return np.clip(np.floor(weights * np.float32(scale) + np.float32(0.5)), 1, most).astype(np.uint32)


class Scipy:
    settings = ["scipy"]

    def __init__(self, data, vectors, build):
        import numpy as np
        import scipy.sparse

        self.np, self.sparse = np, scipy.sparse
        weights, documents, starts = data.arrays("lists")
        # Terms by documents, by rows: as a transposed matrix of documents it would be turned round for each product.
        arrays = np.array(weights), np.array(documents), np.array(starts)
        self.lists = scipy.sparse.csr_matrix(arrays, (len(data.terms), len(data.ids)))
        self.size = sum(part.nbytes for part in arrays)
        place = {term: number for number, term in enumerate(data.terms)}
        self.queries = [{place[term]: weight for term, weight in query.items() if term in place} for query in data.queries]

    def search(self, setting, k):
        np = self.np
        found = []
        for query in self.queries:
            row = np.array(list(query.values()), np.float32), list(query), [0, len(query)]
            product = self.sparse.csr_matrix(row, (1, self.lists.shape[0])) @ self.lists
            best = np.argpartition(product.data, -k)[-k:] if product.nnz > k else np.arange(product.nnz)
            best = best[np.argsort(-product.data[best])]
            found.append(product.indices[best])
        return found

    def names(self, found, data):
        return [[data.ids[number] for number in hits] for hits in found]


class Pisa:
    settings = [f"pisa {algorithm}" for algorithm in PISA]

    def __init__(self, data, vectors, build):
        import numpy as np
        import pyterrier_pisa
        from pyterrier_pisa import _pisathon

        self.np, self.pisathon = np, _pisathon
        folder = data.folder / "pisa"
        if build:
            folder.mkdir()
            self.write_lists(data, folder)
        index = pyterrier_pisa.PisaIndex(str(folder), stops="none")
        # Without the path through a frame of pandas, which would be timed too. Blocks of 64, the package's own choice.
        retriever = pyterrier_pisa.PisaRetrieve(index, "quantized", stops="none")
        self.retriever, self.context = retriever, retriever._ctxt
        # Without the lists that the index was made of.
        self.size = sum(file.stat().st_size for file in folder.iterdir() if not file.name.startswith("inv."))
        scaled = [{term: weight * 100.0 for term, weight in query.items()} for query in data.queries]
        self.queries = list(enumerate(scaled))

    def write_lists(self, data, folder):
        """The files that PISA's own converter makes of CIFF."""
        np = self.np
        weights, documents, starts = data.arrays("lists")
        with open(folder / "inv.docs", "wb") as docs, open(folder / "inv.freqs", "wb") as freqs:
            np.array([1, len(data.ids)], np.uint32).tofile(docs)
            for start, end in zip(starts, starts[1:]):
                for file, values in ((docs, documents[start:end]), (freqs, impacts(weights[start:end], SCALE))):
                    np.array([end - start], np.uint32).tofile(file)
                    values.astype(np.uint32).tofile(file)
        lengths = np.diff(data.arrays("documents")[2])
        np.array([len(lengths), *lengths], np.uint32).tofile(folder / "inv.sizes")
        for name, lexicon, values in (("terms", "termlex", data.terms), ("documents", "doclex", data.ids)):
            (folder / f"fwd.{name}").write_text("".join(value + "\n" for value in values))
            self.pisathon.build_binlex(str(folder / f"fwd.{name}"), str(folder / f"fwd.{lexicon}"))
        meta = {"type": "sparse_index", "format": "pisa", "package_hint": "pyterrier-pisa", "stemmer": "none"}
        (folder / "pt_meta.json").write_text(json.dumps(meta))

    def search(self, setting, k):
        np, count = self.np, len(self.queries) * k
        results = {
            "result_qidxs": np.empty(count, np.int32),
            "result_docnos": np.empty(count, object),
            "result_ranks": np.empty(count, np.int32),
            "result_scores": np.empty(count, np.float32),
        }
        size = self.pisathon.retrieve(
            self.context,
            PISA[setting],
            self.queries,
            k=k,
            threads=1,
            query_weighted=1,
            pretokenised=True,
            **results,
        )
        return results["result_qidxs"][:size], results["result_docnos"][:size]

    def names(self, found, data):
        hits = [[] for _ in self.queries]
        for query, name in zip(*found):
            hits[query].append(name)
        return hits


class Bmp:
    # A query by itself has to make 65,537 lists first; many at once share them, but are read from a file with the index.
    settings = [f"bmp {way} {alpha:g} {beta:g}" for way in ("single", "batch") for alpha, beta in BMP]

    def __init__(self, data, vectors, build):
        import bmp

        path = data.folder / "index.bmp"
        if build:
            indexer = bmp.Indexer(str(path), bsize=32, compress_range=False)
            weights, terms, starts = data.arrays("documents")
            for number, identifier in enumerate(data.ids):
                part = slice(starts[number], starts[number + 1])
                names = map(data.terms.__getitem__, terms[part].tolist())
                indexer.add_document(identifier, dict(zip(names, impacts(weights[part], SCALE, 255).tolist())))
            indexer.finish()
        self.size = path.stat().st_size
        self.bmp, self.searcher = bmp, bmp.Searcher(str(path))
        self.queries = data.queries
        self.files = {"index": str(path), "queries": str(data.folder / "bmp-queries.txt")}
        with open(self.files["queries"], "w", encoding="utf-8") as lines:
            for number, query in enumerate(self.queries):
                # As a single query's weights are scaled.
                scale = 32 / max(query.values())
                words = " ".join(" ".join([term] * math.ceil(weight * scale)) for term, weight in query.items())
                lines.write(f"{number}: {words}\n")

    def search(self, setting, k):
        batch, setting = divmod(setting, len(BMP))
        alpha, beta = BMP[setting]
        if not batch:
            return [self.searcher.search(query, k=k, alpha=alpha, beta=beta)[0] for query in self.queries]
        with tempfile.TemporaryFile() as said:
            errors = os.dup(2)
            os.dup2(said.fileno(), 2)
            run = self.bmp.search(**self.files, k=k, alpha=alpha, beta=beta)
            os.dup2(errors, 2)
            os.close(errors)
            said.seek(0)
            # The mean of its queries, in microseconds, without what has to be read.
            self.elapsed = float(re.search(rb"search_elapsed = (\d+)", said.read())[1])
        return run

    def names(self, found, data):
        if isinstance(found, list):
            return found
        hits = [[] for _ in self.queries]
        for line in found.splitlines():
            query, _, name, _ = line.split(" ", 3)
            hits[int(query)].append(name)
        return hits


class Seismic:
    settings = [f"seismic cut {cut} heap {heap:g}" for cut, heap in SEISMIC]

    def __init__(self, data, vectors, build):
        import numpy as np
        import seismic

        path = data.folder / "index"
        if build:
            seismic.SeismicIndex.build(str(vectors), load_content=False).save(str(path))
        [file] = data.folder.glob("index*.seismic*")
        self.size = file.stat().st_size
        self.index = seismic.SeismicIndex.load(str(file))
        text = seismic.get_seismic_string()
        self.queries = {
            "queries_ids": np.array([str(number) for number in range(len(data.queries))], text),
            "query_components": [np.array(list(query), text) for query in data.queries],
            "query_values": [np.array(list(query.values()), np.float32) for query in data.queries],
        }

    def search(self, setting, k):
        cut, heap = SEISMIC[setting]
        return self.index.batch_search(**self.queries, k=k, query_cut=cut, heap_factor=heap, num_threads=1)

    def names(self, found, data):
        hits = [[] for _ in data.queries]
        for query in found:
            # Not in the order of the queries.
            for number, _, name in query:
                hits[int(number)].append(name)
        return hits


PEERS = {"scipy": Scipy, "pisa": Pisa, "bmp": Bmp, "seismic": Seismic}


def serve(args):
    """A peer: builds or opens its index, says so, and then searches as it is told, line by line."""
    # Some peers print; the answers have a way of their own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(value):
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    data = Collection(args.folder, args.queries)
    built = data.folder / f"built-{args.peer}.json"
    start = time.time(), time.process_time()
    peer = PEERS[args.peer](data, args.vectors, not built.exists())
    if not built.exists():
        built.write_text(json.dumps([time.time() - start[0], time.process_time() - start[1], peer.size]))
    answer(json.loads(built.read_text()))
    for line in sys.stdin:
        setting, k, named = json.loads(line)
        found = peer.search(setting, k)
        answer(peer.names(found, data) if named else getattr(peer, "elapsed", None))
        peer.elapsed = None


class Side:
    """A process that is asked, and the time it takes to answer."""

    def __init__(self, command, log):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log, "text": True}
        # Seismic searches on all processors even when told to take one thread.
        environment = os.environ | {name: "1" for name in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS")}
        self.process = subprocess.Popen(command, env=environment, **pipes)
        # The clock of the processor time of another process, see clock_getcpuclockid(3).
        self.clock = (~self.process.pid << 3) | 2

    def ask(self, request):
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        return self.listen()

    def listen(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.process.args} has ended: see the log in its folder")
        return line

    def times(self, request, queries):
        """Microseconds a query: wall and processor, of which a peer that takes the time itself has only the first."""
        start = time.perf_counter(), time.clock_gettime(self.clock)
        own = self.ask(request).strip()
        end = time.perf_counter(), time.clock_gettime(self.clock)
        if own not in ("", "null"):
            return float(own), math.nan
        return [(b - a) * 1e6 / queries for a, b in zip(start, end)]


def our_hits(args, index, k):
    """By the program, with ids."""
    command = [args.program, "search", "--index", index, "--queries", args.queries, "--quiet", "--threads", "1"]
    lines = subprocess.run(command + ["--k", str(k)], check=True, stdout=subprocess.PIPE, text=True).stdout
    hits = {}
    for line in lines.splitlines():
        query, _, _, document = line.split("\t")
        hits.setdefault(query, []).append(document)
    return [hits.get(query, []) for query, _ in rows(args.queries)]


def recall(exact, found, k):
    wanted = sum(len(hits) for hits in exact)
    return sum(len(set(a) & set(b[:k])) for a, b in zip(exact, found)) / wanted


def build_ours(args, folder):
    index, built = folder / "ours", folder / "built-ours.json"
    if not built.exists():
        start, before = time.time(), os.times()
        command = [args.program, "index", "build", "--input", args.vectors, "--output", index, "--quiet", "--force"]
        subprocess.run(command, check=True)
        after = os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        built.write_text(json.dumps([time.time() - start, cpu, (index / "index.nsi").stat().st_size]))
    return index, json.loads(built.read_text())


def run(args):
    folder = pathlib.Path(args.folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "names.json").exists():
        write_matrix(args.vectors, folder)
    index, ours_built = build_ours(args, folder)
    log = open(folder / "log.txt", "a")
    ours = Side([args.bench, index, args.queries, "--on-demand"], log)
    # It says what it has read before it takes requests.
    ours.listen()
    # (name, process, what to say for a k)
    sides = [("neural-sparse", ours, str)]
    built = {"neural-sparse": ours_built}
    peers = {}
    for name in args.peers:
        command = [sys.executable, __file__, "serve", name, args.vectors, args.queries, args.folder]
        if not (folder / f"built-{name}.json").exists():
            # In a process that may use all processors; without requests it ends once it has built.
            nothing = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": log}
            subprocess.run(command, check=True, **nothing)
        peers[name] = Side(command, log)
        built[name] = json.loads(peers[name].listen())
        for number, setting in enumerate(PEERS[name].settings):
            sides.append((setting, peers[name], lambda k, number=number: json.dumps([number, k, False])))
    for name, (wall, cpu, size) in built.items():
        print(f"{name}: an index of {size / 1e6:.0f} MB in {wall:.0f} s ({cpu:.0f} s of the processors)", flush=True)

    def hits(name, side, request, k):
        if side is ours:
            return our_hits(args, index, k)
        return json.loads(side.ask(request.replace("false", "true")))

    for k in args.k:
        exact = json.loads(peers["scipy"].ask(json.dumps([0, k, True])))
        # Finding the hits also brings every index into memory; ours is another process there.
        ours.ask(str(k))
        recalls = {name: recall(exact, hits(name, side, request(k), k), k) for name, side, request in sides}
        times = {name: [] for name, _, _ in sides}
        for _ in range(args.rounds):
            for name, side, request in sides:
                if not times[name] or times[name][0][0] * len(exact) < args.patience * 1e6:
                    times[name].append(side.times(request(k), len(exact)))
        print(f"\nk = {k}, {len(exact)} queries, {args.rounds} rounds: microseconds a query")
        print(f"{'':28} {'wall':^28}  {'processor':^28}     of ours  recall")
        for name, _, _ in sides:
            wall, cpu = zip(*times[name])
            # Of processor time; of wall time beside a peer that takes the time itself.
            kind = int(not math.isnan(cpu[0]))
            ratio = [theirs[kind] / mine[kind] for theirs, mine in zip(times[name], times["neural-sparse"])]
            print(
                f"{name:28} {spread(wall):>28}  {spread(cpu):>28}  {statistics.median(ratio):11.2f}  {recalls[name]:.4f}",
                flush=True,
            )


def spread(values):
    return f"{statistics.median(values):.0f} ({min(values):.0f} … {max(values):.0f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("make")
    command.set_defaults(run=make)
    command.add_argument("output")
    command.add_argument("--base", nargs="+", required=True)
    command.add_argument("--n", type=int, default=100_000)
    command.add_argument("--seed", type=int, default=1)
    command = commands.add_parser("run")
    command.set_defaults(run=run)
    for name in ("program", "bench", "vectors", "queries", "folder"):
        command.add_argument(name)
    command.add_argument("--k", type=int, nargs="+", default=[10, 1000])
    command.add_argument("--rounds", type=int, default=5)
    # Seconds: a side that takes longer for all queries is asked in the first round only.
    command.add_argument("--patience", type=float, default=60)
    command.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    # A process of `run`.
    command = commands.add_parser("serve")
    command.set_defaults(run=serve)
    command.add_argument("peer", choices=PEERS)
    for name in ("vectors", "queries", "folder"):
        command.add_argument(name)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
