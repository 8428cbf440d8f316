//! `target`: bodies for indexes, queries and pipelines.

use serde_json::{json, Value};

use crate::program::{fixture, neural_sparse};

fn printed(args: &[&str]) -> String {
    neural_sparse(&[&["target"], args].concat()).run().ok()
}

fn body(args: &[&str]) -> Value {
    serde_json::from_str(&printed(args)).unwrap()
}

/// A query of the text `weather`, cut to its two heaviest terms.
fn query(store: &str, args: &[&str]) -> Value {
    body(&[&["query", store, "--model", "tiny", "--top-k", "2", "weather"], args].concat())
}

/// The two heaviest terms of the text `weather`, by name and by id.
fn terms() -> (Value, Value) {
    let line = neural_sparse(&["encode", "--model", "tiny", "--top-k", "2", "weather"]).run().ok();
    let by_name: Value = serde_json::from_str(&line).unwrap();
    let arrays = query("qdrant", &[]);
    let pairs = arrays["query"]["indices"]
        .as_array()
        .unwrap()
        .iter()
        .zip(arrays["query"]["values"].as_array().unwrap());
    let by_id = pairs.map(|(index, value)| (index.to_string(), value.clone())).collect();
    (by_name, Value::Object(by_id))
}

#[test]
fn every_index_body_is_printed_without_a_model_or_a_network() {
    assert_eq!(
        body(&["mapping", "opensearch"]),
        json!({"mappings": {"properties": {"vector": {"type": "rank_features"}}}})
    );
    assert_eq!(
        body(&["mapping", "opensearch", "--chunk-rows", "--vector-field", "v"]),
        json!({"mappings": {"properties": {"v": {
            "type": "nested",
            "properties": {"sparse_encoding": {"type": "rank_features"}}
        }}}})
    );
    let sparse = body(&["mapping", "opensearch-sparse-vector", "--model", "doc-v3-distill"]);
    assert_eq!(sparse["settings"]["index"]["sparse"], true);
    let method = &sparse["mappings"]["properties"]["vector"]["method"];
    assert_eq!(method["name"], "seismic");
    assert_eq!(
        method["parameters"],
        json!({"quantization_ceiling_ingest": 3.0, "quantization_ceiling_search": 16.0})
    );
    assert_eq!(
        body(&["mapping", "elasticsearch"]),
        json!({"mappings": {"properties": {"vector": {"type": "sparse_vector"}}}})
    );
    assert_eq!(body(&["mapping", "qdrant"]), json!({"sparse_vectors": {"vector": {}}}));
    let milvus = body(&["mapping", "milvus", "--index-name", "films"]);
    assert_eq!(milvus["collectionName"], "films");
    assert_eq!(
        milvus["schema"]["fields"][1],
        json!({"fieldName": "vector", "dataType": "SparseFloatVector"})
    );
    assert_eq!(milvus["indexParams"][0]["metricType"], "IP");
    assert_eq!(body(&["mapping", "pinecone"])["metric"], "dotproduct");
    let vespa = printed(&["mapping", "vespa", "--keep", "title"]);
    for part in [
        "schema doc {",
        "field vector type tensor<float>(t{})",
        "field title type string",
        "rank-profile sparse",
    ] {
        assert!(vespa.contains(part), "{part}: {vespa}");
    }
    let sql = printed(&["mapping", "pgvector", "--index-name", "Films", "--keep", "title"]);
    let expected =
        "CREATE EXTENSION IF NOT EXISTS vector;\nCREATE TABLE \"Films\" (\n    id text PRIMARY KEY,\n    \
                    vector sparsevec(30522) NOT NULL,\n    title text\n);\n";
    assert_eq!(sql, expected);
    assert!(printed(&["mapping", "pgvector", "--model", "multilingual-v1"]).contains("sparsevec(105879)"));
    let model = fixture("bert-tied");
    assert!(printed(&["mapping", "pgvector", "--model", model.to_str().unwrap()]).contains("sparsevec(495)"));
    for store in ["jsonl", "anserini", "seismic", "csr-npz", "csr", "ciff"] {
        let stderr = neural_sparse(&["target", "mapping", store]).run().fails(2);
        assert!(stderr.contains("no index body"), "{stderr}");
    }
}

#[test]
fn queries_have_the_terms_that_the_text_is_encoded_to() {
    let (names, ids) = terms();
    assert_eq!(names.as_object().unwrap().len(), 2);
    assert_eq!(
        query("opensearch", &[]),
        json!({"size": 10, "query": {"neural_sparse": {"vector": {"query_tokens": names}}}})
    );
    let nested = query("opensearch", &["--chunk-rows", "--k", "3"]);
    let inner = json!({"neural_sparse": {"vector.sparse_encoding": {"query_tokens": names}}});
    assert_eq!(
        nested,
        json!({"size": 3, "query": {"nested": {"path": "vector", "score_mode": "max", "query": inner}}})
    );
    let phases = query("opensearch", &["--two-phase"]);
    assert_eq!(
        phases["search_pipeline"]["request_processors"][0]["neural_sparse_two_phase_processor"]
            ["two_phase_parameter"],
        json!({"prune_type": "max_ratio", "prune_ratio": 0.4, "expansion_rate": 5.0, "max_window_size": 10000})
    );
    let sparse = query("opensearch-sparse-vector", &[]);
    assert_eq!(sparse["query"]["neural_sparse"]["vector"]["query_tokens"], ids);
    assert_eq!(
        query("elasticsearch", &[])["query"],
        json!({"sparse_vector": {"field": "vector", "query_vector": names, "prune": false}})
    );
    assert_eq!(query("milvus", &[])["data"], json!([ids]));
    assert_eq!(query("pinecone", &[])["top_k"], 10);
    assert_eq!(query("vespa", &[])["input.query(q)"], json!({ "cells": names }));
    assert_eq!(query("seismic", &[])["vector"], names);
    let sql = printed(&["query", "pgvector", "--model", "tiny", "--top-k", "1", "--k", "7", "weather"]);
    assert!(sql.starts_with("SELECT id, -(vector <#> '{"), "{sql}");
    assert!(sql.ends_with("}/30522' LIMIT 7;\n"), "{sql}");
}

#[test]
fn clauses_for_a_cluster_without_the_plugin_leave_out_what_they_cannot_name() {
    let args = ["target", "query", "opensearch", "--model", "tiny", "--without-plugin", "."];
    let finished = neural_sparse(&args).run();
    assert_eq!(finished.code, Some(0));
    assert!(
        finished.stderr.contains("a rank_feature clause cannot name one with a dot"),
        "{}",
        finished.stderr
    );
    assert!(!finished.stdout.contains("\"vector..\""));
    let (names, _) = terms();
    let clauses = query("opensearch", &["--without-plugin"]);
    for clause in clauses["query"]["bool"]["should"].as_array().unwrap() {
        let clause = &clause["rank_feature"];
        let name = clause["field"].as_str().unwrap().strip_prefix("vector.").unwrap();
        assert_eq!(clause["boost"], names[name]);
        assert_eq!(clause["linear"], json!({}));
    }
    // The second phase has the terms that the first one lacks.
    let whole = body(&["query", "opensearch", "--model", "tiny", "--without-plugin", "weather"]);
    let phases =
        body(&["query", "opensearch", "--model", "tiny", "--without-plugin", "--two-phase", "weather"]);
    let mut both = phases["query"]["bool"]["should"].as_array().unwrap().clone();
    assert!(!both.is_empty());
    both.extend(phases["rescore"]["query"]["rescore_query"]["bool"]["should"].as_array().unwrap().clone());
    assert_eq!(&both, whole["query"]["bool"]["should"].as_array().unwrap());
    assert_eq!(phases["rescore"]["window_size"], 50);
    // Where one phase has no terms, it must not match everything.
    let one = ["--without-plugin", "--two-phase", "--top-k", "1", "--model", "tiny", "weather"];
    let phases = body(&[&["query", "opensearch"], &one[..]].concat());
    assert_eq!(phases["rescore"]["query"]["rescore_query"], json!({"match_none": {}}));
}

#[test]
fn terms_are_repeated_for_engines_of_integers() {
    let words = |args: &[&str]| {
        printed(&[&["query", "anserini", "--model", "tiny", "--top-k", "2", "weather"], args].concat())
    };
    let (names, _) = terms();
    let count = |printed: &str, name: &str| printed.split_whitespace().filter(|word| *word == name).count();
    for (name, weight) in names.as_object().unwrap() {
        let weight = weight.as_f64().unwrap();
        assert_eq!(count(&words(&[]), name), (weight * 100.0).round() as usize);
        assert_eq!(count(&words(&["--quantize", "0.001"]), name), 1);
    }
}

#[test]
fn each_text_is_a_line_and_limits_are_errors() {
    let lines = printed(&["query", "qdrant", "--model", "tiny", "one", "two", ""]);
    assert_eq!(lines.lines().count(), 3);
    for (args, message) in [
        (&["opensearch", "--k", "10001"][..], "10000 at most"),
        (&["opensearch", "--two-phase", "--k", "2001"], "2000 are the most"),
        (&["pinecone", "--k", "10001"], "10000 at most"),
    ] {
        let stderr = neural_sparse(&[&["target", "query"], args, &["--model", "tiny", "weather"]].concat())
            .run()
            .fails(1);
        assert!(stderr.contains(message) && stderr.contains("`weather`"), "{stderr}");
    }
    for (args, message) in [
        (&["qdrant", "--two-phase"][..], "--two-phase: qdrant has no use for it"),
        (&["csr"], "no query body"),
        (&["qdrant", "--chunk-rows", "--without-plugin"], "--without-plugin: qdrant has no use for it"),
    ] {
        let stderr = neural_sparse(&[&["target", "query"], args, &["--model", "tiny", "weather"]].concat())
            .run()
            .fails(2);
        assert!(stderr.contains(message), "{stderr}");
    }
    // A model whose sides differ needs no --as: these are queries.
    let doc = fixture("idf-query");
    printed(&["query", "qdrant", "--model", doc.to_str().unwrap(), "weather"]);
}

#[test]
fn pipelines_of_opensearch() {
    let ingest = body(&["pipeline", "opensearch", "--model-id", "abc", "--prune", "max_ratio=0.1"]);
    let expected = json!({"processors": [{"sparse_encoding": {
        "model_id": "abc", "prune_type": "max_ratio", "prune_ratio": 0.1, "field_map": {"text": "vector"}
    }}]});
    assert_eq!(ingest, expected);
    let chunks = body(&["pipeline", "opensearch", "--model-id", "abc", "--chunk-rows"]);
    assert_eq!(chunks["processors"][0]["text_chunking"]["field_map"], json!({"text": "text_chunks"}));
    assert_eq!(chunks["processors"][1]["sparse_encoding"]["field_map"], json!({"text_chunks": "vector"}));
    let search = body(&["pipeline", "opensearch", "--two-phase"]);
    let processor = &search["request_processors"][0]["neural_sparse_two_phase_processor"];
    assert_eq!(processor["enabled"], true);
    assert_eq!(processor["two_phase_parameter"]["prune_ratio"], 0.4);
    let finished = neural_sparse(&["target", "pipeline", "opensearch"]).run();
    assert!(finished.stderr.contains("--model-id"), "{}", finished.stderr);
    assert!(finished.stdout.contains("MODEL_ID"));
}

#[test]
fn the_queries_may_stand_in_a_file() {
    let run = |input: &str, more: &[&str]| {
        let arguments = ["target", "query", "opensearch", "--model", "tiny", "--quiet"];
        neural_sparse(&[&arguments, more].concat()).stdin(input).run()
    };
    let expected = run("", &["weather in ny", "cats"]).ok();
    assert_eq!(expected.lines().count(), 2);
    let rows = "{\"id\":1,\"q\":\"weather in ny\"}\n\n{\"id\":2,\"q\":\"cats\"}\n";
    assert_eq!(run(rows, &["--input", "-", "--text-field", "q"]).ok(), expected);
    let lines = run("1\tweather in ny\n2\tcats\n", &["-i", "-", "--input-format", "tsv"]);
    assert_eq!(lines.ok(), expected);
    let stderr = run("{\"q\":\"x\"}\n{}\n", &["--input", "-", "--text-field", "q"]).fails(1);
    assert!(stderr.contains("line 2") && stderr.contains("no field `q`"), "{stderr}");
    assert!(run("", &["--input", "-", "x"]).fails(2).contains("--input"));
    assert!(run("", &["--text-field", "q", "x"]).fails(2).contains("--text-field"));
}
