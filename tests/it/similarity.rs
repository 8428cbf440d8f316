//! Models that compare vectors by something else than the dot product: `similarity_fn_name`.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use neural_sparse::{Dialect, EncoderOptions, ModelFiles, Side, Similarity, SparseEncoder, SparseVector};
use serde_json::{json, Map, Value};
use tempfile::TempDir;

use crate::program::{copied, copied_whole, fixture, folder, json_lines, neural_sparse, Finished};

const SETTINGS: &str = "config_sentence_transformers.json";

const TEXTS: [&str; 5] = [
    "the old house by the river was cold in winter",
    "Mars, known for its reddish appearance, is often referred to as the Red Planet.",
    "a walk by the river in summer and in winter, in rain and in snow",
    "rain",
    "the weather in new york city today",
];
const QUERY: &str = "which house is cold in winter?";

/// A copy of a fixture that sentence-transformers saved, with another similarity.
fn model_of(name: &str, similarity: impl Into<Value>) -> TempDir {
    let copy = copied_whole(name);
    let path = copy.path().join(SETTINGS);
    let mut settings: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    settings["similarity_fn_name"] = similarity.into();
    fs::write(path, settings.to_string()).unwrap();
    copy
}

/// One with both sides in one.
fn model(similarity: &str) -> TempDir {
    model_of("st6-symmetric-sum", similarity)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs the program with a model, without notes.
fn run(model: &TempDir, place: &TempDir, args: &[&str]) -> Finished {
    let args = [args, &["--quiet", "--model", text(model.path())]].concat();
    neural_sparse(&args).in_folder(place.path()).run()
}

fn lines(output: &str) -> Vec<Value> {
    output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn numbers(output: &str) -> Vec<f64> {
    output.lines().map(|line| line.parse().unwrap()).collect()
}

#[track_caller]
fn assert_close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found}, expected {expected}");
}

/// A folder with the texts as docs.jsonl, ids d0, d1 ….
fn place() -> TempDir {
    let place = folder();
    let row = |(number, text): (usize, &&str)| json!({"id": format!("d{number}"), "text": text}).to_string();
    let rows: Vec<String> = TEXTS.iter().enumerate().map(row).collect();
    fs::write(place.path().join("docs.jsonl"), rows.join("\n") + "\n").unwrap();
    place
}

type Weights = HashMap<String, f64>;

fn weights(vector: &Value) -> Weights {
    vector
        .as_object()
        .unwrap()
        .iter()
        .map(|(term, weight)| (term.clone(), weight.as_f64().unwrap()))
        .collect()
}

/// The raw vector of a text, as `encode` prints it.
fn raw(model: &TempDir, args: &[&str]) -> Weights {
    weights(&lines(&run(model, &folder(), &[&["encode"], args].concat()).ok())[0])
}

fn dot(a: &Weights, b: &Weights) -> f64 {
    a.iter().filter_map(|(term, weight)| Some(weight * b.get(term)?)).sum()
}

fn length(vector: &Weights) -> f64 {
    dot(vector, vector).sqrt()
}

fn cosine(a: &Weights, b: &Weights) -> f64 {
    let product = dot(a, b);
    if product == 0.0 {
        0.0
    } else {
        product / (length(a) * length(b))
    }
}

#[track_caller]
fn assert_normalized(found: &Weights, raw: &Weights) {
    assert_eq!(found.len(), raw.len());
    let length = length(raw);
    for (term, weight) in found {
        assert_close(*weight, raw[term] / length, 1e-7);
    }
}

/// Scores that sentence-transformers computes with `similarity` and `similarity_pairwise`.
#[test]
fn scores_are_those_of_sentence_transformers() {
    let texts: HashMap<String, String> = json_lines(&fixture("texts.jsonl"))
        .into_iter()
        .map(|row| (row["id"].as_str().unwrap().into(), row["text"].as_str().unwrap().into()))
        .collect();
    let options = EncoderOptions { dialect: Dialect::SentenceTransformers, ..EncoderOptions::default() };
    let mut num_empty = 0;
    for name in ["st6-router", "st6-symmetric-sum"] {
        let golden = &json_lines(&fixture("similarity").join(format!("{name}.json")))[0];
        let texts: Vec<&String> =
            golden["texts"].as_array().unwrap().iter().map(|id| &texts[id.as_str().unwrap()]).collect();
        for similarity in Similarity::ALL {
            let model = model_of(name, similarity.name());
            let encoder = SparseEncoder::load(&ModelFiles::folder(name, model.path()), &options).unwrap();
            assert_eq!(encoder.similarity(), similarity);
            let vectors = |side| -> Vec<SparseVector> {
                encoder.encode(&texts, side).unwrap().into_iter().map(|encoded| encoded.vector).collect()
            };
            let (queries, documents) = (vectors(Side::Query), vectors(Side::Document));
            num_empty += queries.iter().filter(|query| query.is_empty()).count();
            let theirs = |kind: &str, row: usize, column: usize| {
                golden[similarity.name()][kind][row][column].as_f64().unwrap()
            };
            for (row, query) in queries.iter().enumerate() {
                for (column, document) in documents.iter().enumerate() {
                    let ours = f64::from(similarity.score(query, document).unwrap());
                    let pair = theirs("pairs", row, column);
                    assert_close(ours, pair, 1e-5 + 1e-5 * pair.abs());
                    let matrix = theirs("matrix", row, column);
                    if similarity == Similarity::Euclidean {
                        // It subtracts squares in f32.
                        let squares = query.norm().powi(2) + document.norm().powi(2);
                        assert_close(ours * ours, matrix * matrix, 2e-6 * squares);
                    } else {
                        assert_close(ours, matrix, 1e-5 + 1e-5 * matrix.abs());
                    }
                }
            }
        }
    }
    assert!(num_empty > 0, "no query without terms");
}

#[test]
fn a_similarity_that_is_not_named_is_the_dot_product() {
    let options = EncoderOptions::default();
    let read = |model: &TempDir| {
        let files = ModelFiles::folder("m", model.path());
        let encoder = SparseEncoder::load(&files, &options).unwrap();
        assert_eq!(Similarity::read(&files).unwrap(), encoder.similarity());
        let row = encoder.provenance().iter().find(|row| row.what == "similarity").unwrap().clone();
        (encoder.similarity(), row.value, row.source)
    };
    for unnamed in [model_of("st6-symmetric-sum", Value::Null), copied("bert-tied")] {
        let (similarity, value, source) = read(&unnamed);
        assert_eq!((similarity, value.as_str()), (Similarity::Dot, "dot"));
        assert!(source.starts_with("no similarity_fn_name"), "{source}");
    }
    for name in Similarity::ALL {
        let (similarity, value, source) = read(&model(name.name()));
        assert_eq!((similarity, value.as_str()), (name, name.name()));
        assert!(source.ends_with("config_sentence_transformers.json: similarity_fn_name"), "{source}");
    }
    assert_eq!(Similarity::read(&ModelFiles::tiny()).unwrap(), Similarity::Dot);
}

#[test]
fn another_similarity_is_refused_by_name() {
    for (value, shown) in [
        (json!("maxsim"), "\"maxsim\""),
        (json!("Cosine"), "\"Cosine\""),
        (json!(""), "\"\""),
        (json!(3), "3"),
        (json!(["dot"]), "[\"dot\"]"),
    ] {
        let model = model_of("st6-symmetric-sum", value);
        let stderr = run(&model, &folder(), &["encode", "rain"]).fails(1);
        let expected = format!(
            "{SETTINGS}`: `similarity_fn_name` is {shown}; the similarities are `dot`, `cosine`, `euclidean`, `manhattan`"
        );
        assert!(stderr.contains(&expected), "{stderr}");
    }
}

/// The score of two vectors by its formula.
fn expected_score(similarity: &str, query: &Weights, document: &Weights) -> f64 {
    let at = |vector: &Weights, term: &String| vector.get(term).copied().unwrap_or(0.0);
    let differences: HashMap<&String, f64> = query
        .keys()
        .chain(document.keys())
        .map(|term| (term, at(query, term) - at(document, term)))
        .collect();
    match similarity {
        "dot" => dot(query, document),
        "cosine" => cosine(query, document),
        "euclidean" => -differences.values().map(|difference| difference * difference).sum::<f64>().sqrt(),
        _ => -differences.values().map(|difference| difference.abs()).sum::<f64>(),
    }
}

#[test]
fn every_mode_of_score_prints_the_models_similarity() {
    let place = folder();
    for (similarity, part, column) in [
        ("dot", "product", "product"),
        ("cosine", "product", "product"),
        ("euclidean", "squared_difference", "(q-d)^2"),
        ("manhattan", "difference", "|q-d|"),
    ] {
        let model = model(similarity);
        let query = raw(&model, &[QUERY]);
        let documents: Vec<Weights> = TEXTS.iter().map(|text| raw(&model, &[text])).collect();
        let texts = [&[QUERY], &TEXTS[..]].concat();
        let printed = run(&model, &place, &[&["score"], &texts[..]].concat()).ok();
        let scores = numbers(&printed);
        for (score, document) in scores.iter().zip(&documents) {
            let expected = expected_score(similarity, &query, document);
            assert_close(*score, expected, 1e-5 * expected.abs());
        }
        // Rows.
        let pair = |text: &&str| json!({"query": QUERY, "document": text}).to_string() + "\n";
        fs::write(place.path().join("pairs.jsonl"), TEXTS.iter().map(pair).collect::<String>()).unwrap();
        let rows = lines(&run(&model, &place, &["score", "--input", "pairs.jsonl"]).ok());
        let rows: Vec<f64> = rows.iter().map(|row| row["score"].as_f64().unwrap()).collect();
        assert_eq!(rows, scores);
        // JSON, with terms whose parts add up to what the score is made of.
        let json =
            lines(&run(&model, &place, &[&["score", "--json", "--explain"], &texts[..]].concat()).ok());
        for ((row, score), document) in json.iter().zip(&scores).zip(&documents) {
            assert_eq!((row["score"].as_f64().unwrap(), &row["similarity"]), (*score, &json!(similarity)));
            let terms = row["terms"].as_array().unwrap();
            let value =
                |term: &Value, key: &str| term[key].as_f64().unwrap_or_else(|| panic!("{term}: no {key}"));
            let mut sums = [0.0, 0.0];
            for term in terms {
                let (q, d, part) = (value(term, "query"), value(term, "document"), value(term, part));
                let name = term["term"].as_str().unwrap();
                let weight = |vector: &Weights| vector.get(name).copied().unwrap_or(0.0);
                let lengths =
                    if similarity == "cosine" { [length(&query), length(document)] } else { [1.0; 2] };
                assert_close(q, weight(&query) / lengths[0], 1e-6);
                assert_close(d, weight(document) / lengths[1], 1e-6);
                let expected = match similarity {
                    "dot" | "cosine" => q * d,
                    "euclidean" => (q - d) * (q - d),
                    _ => (q - d).abs(),
                };
                assert_close(part, expected, 1e-5 * (1.0 + expected));
                sums[0] += part;
                sums[1] += value(term, "share");
            }
            let total = match similarity {
                "euclidean" => score * score,
                "manhattan" => -score,
                _ => *score,
            };
            assert_close(sums[0], total, 1e-5 * (1.0 + total));
            assert_close(sums[1], if total > 0.0 { 1.0 } else { 0.0 }, 1e-5);
            let num_terms = match similarity {
                "dot" | "cosine" => query.keys().filter(|term| document.contains_key(*term)).count(),
                _ => query.keys().chain(document.keys().filter(|term| !query.contains_key(*term))).count(),
            };
            assert_eq!(terms.len(), num_terms);
        }
        // The table has the same sums.
        let table = run(&model, &place, &["score", "--explain", QUERY, TEXTS[0]]).ok();
        let table: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(table[0], ["term", "query", "document", column, "share"]);
        let is_distance = ["euclidean", "manhattan"].contains(&similarity);
        let (rows, ends) = table[1..].split_at(table.len() - if is_distance { 3 } else { 2 });
        let sum: f64 = rows.iter().map(|row| row[3].parse::<f64>().unwrap()).sum();
        assert_eq!(ends[0][0], "total");
        assert_close(sum, ends[0][1].parse().unwrap(), 1e-4 * rows.len() as f64);
        if is_distance {
            assert_eq!(ends[1], ["score", &format!("{:.4}", scores[0])]);
        } else {
            assert_eq!(ends[0][1], format!("{:.4}", scores[0]));
        }
    }
}

#[test]
fn a_page_of_scores_says_what_they_are() {
    let place = folder();
    for (similarity, total, sentence) in [
        ("dot", "score", None),
        ("cosine", "score", Some("the weights are those of the normalised vectors")),
        (
            "euclidean",
            "squared distance",
            Some("the negative euclidean distance, the root of what the terms add up to"),
        ),
        ("manhattan", "distance", Some("the negative manhattan distance, which the terms add up to")),
    ] {
        let model = model(similarity);
        let file = format!("{similarity}.html");
        run(&model, &place, &["score", "--html", &file, QUERY, TEXTS[0], QUERY]).ok();
        let page = fs::read_to_string(place.path().join(file)).unwrap();
        let data = page.split_once("id=\"data\">").unwrap().1.split_once("</script>").unwrap().0;
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!((&data["similarity"], &data["total"]), (&json!(similarity), &json!(total)));
        assert!(page.contains(&format!("Part of the {total}: ")));
        assert_eq!(page.contains("The score is the "), sentence.is_some());
        assert!(sentence.is_none_or(|sentence| page.contains(sentence)), "{similarity}");
        let mut json =
            lines(&run(&model, &place, &["score", "--json", "--explain", QUERY, TEXTS[0], QUERY]).ok());
        let score = |row: &Value| row["score"].as_f64().unwrap();
        json.sort_by(|a, b| score(b).total_cmp(&score(a)));
        for (document, expected) in data["documents"].as_array().unwrap().iter().zip(&json) {
            assert_eq!(document["score"], expected["score"], "best first");
            let (found, expected) =
                (document["terms"].as_array().unwrap(), expected["terms"].as_array().unwrap());
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                assert_eq!((&found[0], &found[3]), (&expected["term"], &expected["share"]));
                let weights = [&expected["query"], &expected["document"]];
                for (side, weight) in weights.into_iter().enumerate() {
                    assert_eq!(&found[1][side], weight);
                    assert_eq!(found[4][side].is_null(), weight.as_f64() == Some(0.0), "{found}");
                }
            }
        }
        // A distance of 0 has no parts.
        assert!(!page.contains("NaN") && !page.contains("inf"), "{similarity}");
    }
}

/// The hits of each query as (id, score).
fn hits(answers: &[Value]) -> Vec<Vec<(String, f64)>> {
    let hit = |hit: &Value| (hit["id"].as_str().unwrap().to_string(), hit["score"].as_f64().unwrap());
    answers.iter().map(|answer| answer["hits"].as_array().unwrap().iter().map(hit).collect()).collect()
}

fn by_score(scores: impl IntoIterator<Item = f64>) -> Vec<(String, f64)> {
    let named = |(number, score): (usize, f64)| (format!("d{number}"), score);
    let mut ranked: Vec<_> =
        scores.into_iter().enumerate().map(named).filter(|(_, score)| *score > 0.0).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked
}

#[track_caller]
fn assert_ranked(found: &[(String, f64)], expected: &[(String, f64)]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.0, expected.0);
        assert_close(found.1, expected.1, 1e-6);
    }
}

#[test]
fn an_index_of_a_cosine_model_finds_what_brute_force_does() {
    // Of two sides and of one.
    for name in ["st6-prompts", "st6-symmetric-sum"] {
        let (model, place) = (model_of(name, "cosine"), place());
        let as_document = ["--as", "document"];
        run(
            &model,
            &place,
            &[&["index", "build", "--input", "docs.jsonl", "--output", "texts"], &as_document[..]].concat(),
        )
        .ok();
        run(
            &model,
            &place,
            &[&["encode", "--input", "docs.jsonl", "--output", "vectors.jsonl"], &as_document[..]].concat(),
        )
        .ok();
        run(&model, &place, &["index", "build", "--input", "vectors.jsonl", "--output", "vectors"]).ok();
        let documents: Vec<Weights> = json_lines(&place.path().join("vectors.jsonl"))
            .iter()
            .map(|row| weights(&row["vector"]))
            .collect();
        assert!(documents.iter().all(|document| (length(document) - 1.0).abs() > 0.1), "raw in jsonl");
        // Terms that no document has count in the length of a query.
        let queries = [QUERY, TEXTS[1], "rain and snow zzz 漢字"];
        let mut file = String::new();
        for (number, query) in queries.iter().enumerate() {
            let vector = raw(&model, &["--as", "query", query]);
            file += &json!({"id": number, "vector": vector}).to_string();
            file.push('\n');
            let scores = documents.iter().map(|document| cosine(&vector, document));
            let expected = by_score(scores);
            assert!(expected.len() >= 2, "{expected:?}");
            assert!(expected.iter().all(|(_, score)| *score < 1.0 + 1e-9));
            for index in ["texts", "vectors"] {
                let answers =
                    lines(&run(&model, &place, &["search", "--index", index, "--json", query]).ok());
                assert_ranked(&hits(&answers)[0], &expected);
            }
            // Those of score, but for rounding.
            let scored = numbers(&run(&model, &place, &[&["score", query], &TEXTS[..]].concat()).ok());
            assert_ranked(&by_score(scored), &expected);
        }
        // Queries that come as raw vectors are normalised too, without any model.
        fs::write(place.path().join("queries.jsonl"), file).unwrap();
        let search = ["search", "--quiet", "--index", "vectors", "--json", "--queries", "queries.jsonl"];
        let of_vectors = lines(&neural_sparse(&search).in_folder(place.path()).run().ok());
        for (found, query) in hits(&of_vectors).iter().zip(queries) {
            let answers = lines(&run(&model, &place, &["search", "--index", "texts", "--json", query]).ok());
            assert_ranked(found, &hits(&answers)[0]);
        }
        // Explained terms are those of the normalised vectors, and add up.
        let explained =
            lines(&run(&model, &place, &["search", "--index", "texts", "--json", "--explain", QUERY]).ok());
        for hit in explained[0]["hits"].as_array().unwrap() {
            let sum: f64 =
                hit["terms"].as_array().unwrap().iter().map(|term| term["product"].as_f64().unwrap()).sum();
            assert_close(sum, hit["score"].as_f64().unwrap(), 1e-6);
        }
        let info =
            |index: &str| lines(&run_plain(&place, &["index", "info", index, "--json", "--verify"]).ok());
        assert_eq!(info("texts")[0]["metadata"]["similarity"], "cosine");
        assert_eq!(info("vectors")[0]["metadata"]["similarity"], "cosine");
        let shown = run_plain(&place, &["index", "info", "texts"]).ok();
        assert!(shown.contains("similarity     cosine\n"), "{shown}");
    }
}

fn run_plain(place: &TempDir, args: &[&str]) -> Finished {
    neural_sparse(args).in_folder(place.path()).run()
}

#[test]
fn an_index_is_searched_only_by_the_similarity_that_it_was_made_for() {
    let (dot, cosine, place) = (model("dot"), model("cosine"), place());
    for (model, index) in [(&dot, "dot"), (&cosine, "cosine")] {
        run(model, &place, &["index", "build", "--input", "docs.jsonl", "--output", index]).ok();
    }
    let stderr = run(&cosine, &place, &["search", "--index", "dot", QUERY]).fails(1);
    assert!(stderr.contains("compares vectors by cosine, and the index `dot` was made for dot"), "{stderr}");
    assert!(stderr.contains("\nhint: `neural-sparse index build --model "), "{stderr}");
    let stderr = run(&dot, &place, &["search", "--index", "cosine", QUERY]).fails(1);
    assert!(
        stderr.contains("compares vectors by dot, and the index `cosine` was made for cosine"),
        "{stderr}"
    );
    // Vectors of a model that is not named are taken as they are.
    run(&cosine, &place, &["encode", "--input", "docs.jsonl", "--output", "vectors.jsonl"]).ok();
    run_plain(&place, &["index", "build", "--quiet", "--input", "vectors.jsonl", "--output", "unnamed"]).ok();
    let stderr = run(&cosine, &place, &["search", "--index", "unnamed", QUERY]).fails(1);
    assert!(stderr.contains("was made for dot"), "{stderr}");
    let [found, expected] =
        ["unnamed", "dot"].map(|index| run(&dot, &place, &["search", "--index", index, QUERY]).ok());
    assert_eq!(found, expected);
}

/// An index that an earlier version made says nothing of a similarity.
#[test]
fn an_index_without_a_similarity_is_one_of_dot_products() {
    use neural_sparse::index::{Codec, DocumentId, IndexBuilder, JsonObject};
    let (place, dot, cosine) = (folder(), model("dot"), model("cosine"));
    let id = DocumentId::from("a");
    fs::create_dir(place.path().join("old")).unwrap();
    let path = place.path().join("old/index.nsi");
    let mut builder = IndexBuilder::new(&path, Codec::F32, [(0, "rain"), (1, "snow")]).unwrap();
    builder
        .add(&id, &JsonObject::default(), &SparseVector::from_pairs(vec![(0, 3.0), (1, 4.0)]).unwrap())
        .unwrap();
    builder.finish(&JsonObject::default()).unwrap();
    fs::write(place.path().join("q.jsonl"), "{\"id\":1,\"vector\":{\"rain\":2.0}}\n").unwrap();
    let found = run_plain(&place, &["search", "--quiet", "--index", "old", "--queries", "q.jsonl"]).ok();
    assert_eq!(found, "1\t1\t6.0\ta\n");
    run(&dot, &place, &["search", "--index", "old", QUERY]).ok();
    let stderr = run(&cosine, &place, &["search", "--index", "old", QUERY]).fails(1);
    assert!(stderr.contains("was made for dot"), "{stderr}");
    // One of a later version that this one does not know.
    let mut builder = IndexBuilder::new(&path, Codec::F32, [(0, "rain")]).unwrap();
    builder.add(&id, &JsonObject::default(), &SparseVector::default()).unwrap();
    builder.finish(&JsonObject::from_json("{\"similarity\":\"angle\"}").unwrap()).unwrap();
    let stderr = run_plain(&place, &["search", "--quiet", "--index", "old", "--queries", "q.jsonl"]).fails(1);
    assert!(stderr.contains("the similarity \"angle\", which is not known here"), "{stderr}");
}

/// A weight by term name, of the first row of a file in a store's format.
fn first_vector(place: &TempDir, file: &str) -> Weights {
    let row = &json_lines(&place.path().join(file))[0];
    weights(&row["vector"])
}

#[test]
fn a_store_gets_normalized_vectors_and_jsonl_those_of_the_model() {
    let (model, place) = (model("cosine"), place());
    let expected = raw(&model, &[TEXTS[0]]);
    run(&model, &place, &["encode", "--input", "docs.jsonl", "--output", "raw.jsonl"]).ok();
    let written = weights(&json_lines(&place.path().join("raw.jsonl"))[0]["vector"]);
    assert_eq!(written, expected);
    // The rows of the store, straight and from the raw ones: the same bytes.
    for (format, suffix) in
        [("elasticsearch", "ndjson"), ("pinecone", "jsonl"), ("csr", "csr"), ("ciff", "ciff")]
    {
        let [straight, converted] = ["straight", "converted"].map(|name| format!("{name}.{suffix}"));
        run(&model, &place, &["encode", "--input", "docs.jsonl", "--format", format, "--output", &straight])
            .ok();
        run(&model, &place, &["convert", "--input", "raw.jsonl", "--format", format, "--output", &converted])
            .ok();
        let read = |name: &str| fs::read(place.path().join(name)).unwrap();
        assert_eq!(read(&straight), read(&converted), "{format}");
    }
    let bulk = &json_lines(&place.path().join("straight.ndjson"))[1]["vector"];
    assert_normalized(&weights(bulk), &expected);
    // What a store holds can be read again, and is not changed by being normalised once more.
    run(&model, &place, &["encode", "--input", "docs.jsonl", "--format", "csr-npz", "--output", "docs.npz"])
        .ok();
    let read = ["convert", "--input", "docs.npz", "--input-format", "csr-npz", "--output", "read.jsonl"];
    run(&model, &place, &read).ok();
    assert_normalized(&first_vector(&place, "read.jsonl"), &expected);
    // Without its model, vectors are taken as they are.
    let unnamed = [
        "convert",
        "--quiet",
        "--input",
        "raw.jsonl",
        "--format",
        "elasticsearch",
        "--output",
        "unnamed.ndjson",
    ];
    run_plain(&place, &unnamed).ok();
    assert_eq!(weights(&json_lines(&place.path().join("unnamed.ndjson"))[1]["vector"]), expected);
    // It is said.
    let args = ["--model", text(model.path()), "--input", "raw.jsonl", "--format", "elasticsearch"];
    let finished = run_plain(&place, &[&["convert"], &args[..]].concat());
    assert!(
        finished.stderr.contains("note: 5 vectors normalised: the model compares by cosine"),
        "{}",
        finished.stderr
    );
}

#[test]
fn every_format_but_jsonl_is_one_of_a_store() {
    use neural_sparse::format::{self, Options};
    let (dot, place) = (model("dot"), place());
    run(&dot, &place, &["encode", "--input", "docs.jsonl", "--output", "raw.jsonl"]).ok();
    let raw: Vec<Value> = json_lines(&place.path().join("raw.jsonl"));
    let ids: Vec<String> =
        raw.iter().zip(0..).map(|(row, id)| json!({"id": id, "vector": row["vector"]}).to_string()).collect();
    fs::write(place.path().join("numbered.jsonl"), ids.join("\n") + "\n").unwrap();
    let cosine = model("cosine");
    for name in format::names() {
        let Ok(format) = format::named(name, &Options::default()) else { continue };
        assert_eq!(format.keeps_raw_weights(), name == "jsonl", "{name}");
        let convert = |model: &TempDir, output: &str| {
            run(
                model,
                &place,
                &["convert", "--input", "numbered.jsonl", "--format", name, "--output", output],
            )
            .ok();
            fs::read(place.path().join(output)).unwrap()
        };
        let [raw, normalized] = [(&dot, "dot"), (&cosine, "cosine")].map(|(model, kind)| {
            let suffix = if name == "seismic" { "jsonl" } else { "out" };
            convert(model, &format!("{name}-{kind}.{suffix}"))
        });
        assert_eq!(raw == normalized, name == "jsonl", "{name}");
    }
}

#[test]
fn pruning_comes_before_normalizing_and_rounding_after_it() {
    let (model, place) = (model("cosine"), place());
    let store = |name: &str, args: &[&str]| {
        let args =
            [&["encode", "--input", "docs.jsonl", "--format", "elasticsearch", "--output", name], args]
                .concat();
        run(&model, &place, &args).ok();
        weights(&json_lines(&place.path().join(name))[1]["vector"])
    };
    let whole = raw(&model, &[TEXTS[0]]);
    // A limit above 1 would leave nothing of a normalised vector.
    let shape = ["--prune", "abs_value=1.1", "--top-k", "6"];
    let pruned = raw(&model, &[&shape[..], &[TEXTS[0]]].concat());
    assert!(pruned.len() >= 2 && pruned.len() < whole.len(), "{pruned:?}");
    let found = store("pruned", &shape);
    assert_normalized(&found, &pruned);
    assert_close(length(&found), 1.0, 1e-6);
    let rounded = store("rounded", &[&shape[..], &["--decimals", "2"]].concat());
    for (term, weight) in &rounded {
        assert_close(*weight, (found[term] * 100.0).round() / 100.0, 1e-7);
    }
    // An index keeps the same.
    let build = [&["index", "build", "--input", "docs.jsonl", "--output", "index"], &shape[..]].concat();
    run(&model, &place, &build).ok();
    let answer = lines(&run(&model, &place, &["search", "--index", "index", "--json", QUERY]).ok());
    let expected = cosine(&raw(&model, &[QUERY]), &pruned);
    let found = hits(&answer)[0].iter().find(|(id, _)| id == "d0").map_or(0.0, |(_, score)| *score);
    assert!(expected > 0.0);
    assert_close(found, expected, 1e-6);
}

#[test]
fn queries_and_indexes_of_a_store_are_those_of_normalized_vectors() {
    let (model, place) = (model("cosine"), place());
    let query =
        |args: &[&str]| lines(&run(&model, &place, &[&["target", "query"], args].concat()).ok()).remove(0);
    let body = query(&["elasticsearch", QUERY]);
    assert_normalized(&weights(&body["query"]["sparse_vector"]["query_vector"]), &raw(&model, &[QUERY]));
    let body = query(&["elasticsearch", "--top-k", "3", QUERY]);
    assert_normalized(
        &weights(&body["query"]["sparse_vector"]["query_vector"]),
        &raw(&model, &["--top-k", "3", QUERY]),
    );
    // No weight is above 1, so that is where eight bits are to end.
    let mapping = |model: &TempDir| -> Value {
        let args = ["target", "mapping", "opensearch-sparse-vector", "--model", text(model.path())];
        let body: Value = serde_json::from_str(&run_plain(&place, &args).ok()).unwrap();
        body["mappings"]["properties"]["vector"]["method"]["parameters"].clone()
    };
    let ceilings = json!({"quantization_ceiling_ingest": 1.0, "quantization_ceiling_search": 1.0});
    assert_eq!(mapping(&model), ceilings);
    let ceilings = json!({"quantization_ceiling_ingest": 3.0, "quantization_ceiling_search": 3.0});
    assert_eq!(mapping(&self::model("dot")), ceilings);
}

#[test]
fn a_collection_is_evaluated_by_cosine() {
    let (cosine, dot, place) = (model("cosine"), model("dot"), folder());
    let data = place.path().join("data");
    fs::create_dir_all(data.join("qrels")).unwrap();
    let corpus = |(number, text): (usize, &&str)| {
        json!({"_id": format!("d{number}"), "text": text}).to_string() + "\n"
    };
    fs::write(data.join("corpus.jsonl"), TEXTS.iter().enumerate().map(corpus).collect::<String>()).unwrap();
    fs::write(data.join("queries.jsonl"), json!({"_id": "q", "text": QUERY}).to_string() + "\n").unwrap();
    fs::write(data.join("qrels/test.tsv"), "query-id\tcorpus-id\tscore\nq\td0\t1\n").unwrap();
    let ranking = |model: &TempDir, file: &str, args: &[&str]| {
        let args = [&["eval", "--data", "data", "--cache", "cache", "--save-run", file], args].concat();
        run(model, &place, &args).ok();
        let run = fs::read_to_string(place.path().join(file)).unwrap();
        let hit = |line: &str| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            (columns[2].to_string(), columns[4].parse::<f64>().unwrap())
        };
        run.lines().map(hit).collect::<Vec<_>>()
    };
    let query = raw(&cosine, &[QUERY]);
    let scored = |args: &[&str], score: &dyn Fn(&Weights) -> f64| {
        let texts: Vec<String> = TEXTS.iter().map(|text| format!(" {text}")).collect();
        by_score(texts.iter().map(|text| score(&raw(&cosine, &[args, &[text.as_str()]].concat()))))
    };
    let cosines = scored(&[], &|document| self::cosine(&query, document));
    assert_ranked(&ranking(&cosine, "cosine.trec", &[]), &cosines);
    let top = ["--top-k", "4"];
    assert_ranked(
        &ranking(&cosine, "top.trec", &top),
        &scored(&top, &|document| self::cosine(&query, document)),
    );
    let products = ranking(&dot, "dot.trec", &[]);
    assert!(products[0].1 > 1.0, "{products:?}");
    // A sweep has the same figures.
    let sweep = ["eval", "sweep", "--data", "data", "--cache", "cache", "--top-k", "4", "--json"];
    let points = lines(&run(&cosine, &place, &sweep).ok());
    let figures =
        lines(&run(&cosine, &place, &["eval", "--data", "data", "--cache", "cache", "--json"]).ok());
    assert_eq!((&points[0]["ndcg@10"], points.len()), (&figures[0]["ndcg@10"], 2));
}

#[test]
fn distances_are_refused_where_products_are_summed() {
    for similarity in ["euclidean", "manhattan"] {
        let (model, place) = (model(similarity), place());
        run(&model, &place, &["encode", "--input", "docs.jsonl", "--output", "raw.jsonl"]).ok();
        let data = place.path().join("data");
        fs::create_dir_all(data.join("qrels")).unwrap();
        fs::write(data.join("corpus.jsonl"), "{\"_id\":\"d\",\"text\":\"rain\"}\n").unwrap();
        fs::write(data.join("queries.jsonl"), "{\"_id\":\"q\",\"text\":\"rain\"}\n").unwrap();
        fs::write(data.join("qrels/test.tsv"), "query-id\tcorpus-id\tscore\nq\td\t1\n").unwrap();
        for args in [
            &["index", "build", "--input", "docs.jsonl", "--output", "index"][..],
            &["index", "build", "--input", "raw.jsonl", "--output", "index"],
            &["encode", "--input", "docs.jsonl", "--format", "opensearch", "--output", "out"],
            &["encode", "--input", "docs.jsonl", "--format", "csr-npz", "--output", "out"],
            &["convert", "--input", "raw.jsonl", "--format", "qdrant", "--output", "out"],
            &["target", "query", "opensearch", QUERY],
            &["target", "mapping", "qdrant", "--offline"],
            &["eval", "--data", "data", "--cache", "cache"],
            &["eval", "sweep", "--data", "data", "--cache", "cache", "--top-k", "4"],
        ] {
            let stderr = run(&model, &place, args).fails(1);
            let expected = format!(
                "compares vectors by {similarity} distance, which cannot be ranked by sums of products"
            );
            assert!(stderr.contains(&expected), "{args:?}: {stderr}");
            assert!(
                stderr.contains("\nhint: `neural-sparse score` computes it for pairs"),
                "{args:?}: {stderr}"
            );
            assert!(!place.path().join("out").exists(), "{args:?}");
        }
        run_plain(&place, &["index", "build", "--quiet", "--input", "raw.jsonl", "--output", "dot"]).ok();
        let stderr = run(&model, &place, &["search", "--index", "dot", QUERY]).fails(1);
        assert!(
            stderr.contains(&format!("by {similarity}, and the index `dot` was made for dot")),
            "{stderr}"
        );
        // Vectors in this program's own rows are raw, so these are fine.
        run(&model, &place, &["convert", "--input", "raw.jsonl", "--output", "same.jsonl"]).ok();
        let read = |name: &str| fs::read(place.path().join(name)).unwrap();
        assert_eq!(read("same.jsonl"), read("raw.jsonl"));
    }
}

#[test]
fn golden_scores_are_compared_by_the_models_similarity() {
    let place = folder();
    for similarity in ["cosine", "euclidean", "manhattan"] {
        let model = model(similarity);
        let score = numbers(&run(&model, &place, &["score", QUERY, TEXTS[0]]).ok())[0];
        let mut row = Map::new();
        row.insert("query".into(), QUERY.into());
        row.insert("document".into(), TEXTS[0].into());
        row.insert("score".into(), score.into());
        fs::write(place.path().join("golden.jsonl"), Value::from(row).to_string() + "\n").unwrap();
        let args = ["model", "verify", text(model.path()), "--quiet", "--golden", "golden.jsonl"];
        let found = run_plain(&place, &args).ok();
        assert!(found.contains("PASS: ") && found.contains("card"), "{found}");
    }
}
