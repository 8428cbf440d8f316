//! Golden files of every form, and files that are refused.

use super::*;
use crate::check::golden::Written;

fn rows(file: &str) -> Vec<GoldenRow> {
    parse(file.as_bytes(), Keys::Terms).expect("a good file")
}

fn reason(file: impl AsRef<[u8]>) -> String {
    parse(file.as_ref(), Keys::Terms).expect_err("a bad file")
}

fn written(value: f32, rounding: f32) -> Written {
    Written { value, rounding }
}

fn terms(weights: &[(&str, f32, f32)]) -> Entries {
    Entries::Terms(weights.iter().map(|(term, w, r)| (term.to_string(), written(*w, *r))).collect())
}

fn ids(weights: &[(u32, f32, f32)]) -> Entries {
    Entries::Ids(weights.iter().map(|(id, w, r)| (*id, written(*w, *r))).collect())
}

fn row(line: usize, side: Option<Side>, text: &str, entries: Entries) -> GoldenRow {
    GoldenRow { line, side, what: Golden::Vector { text: text.into(), entries } }
}

#[test]
fn a_text_and_its_terms_keep_their_order_and_their_rounding() {
    let file = "\u{feff}{\"id\":7,\"text\":\"a\",\"vector\":{\"b\":1.25,\"a\":2.5e-3,\"c\":1,\"d\":1.0}}\r\n\n\
                {\"query\":\"q\",\"embedding\":{}}\n{\"document\":\"d\",\"vector\":{}}\n\
                {\"text\":\"t\",\"vector\":{},\"side\":\"query\"}\n{\"text\":\"t\",\"vector\":{},\"as\":\"document\"}";
    let first = terms(&[("b", 1.25, 0.005), ("a", 0.0025, 0.00005), ("c", 1.0, 0.0), ("d", 1.0, 0.0)]);
    let (query, document) = (Some(Side::Query), Some(Side::Document));
    let expected = [
        row(1, None, "a", first),
        row(3, query, "q", terms(&[])),
        row(4, document, "d", terms(&[])),
        row(5, query, "t", terms(&[])),
        row(6, document, "t", terms(&[])),
    ];
    assert_eq!(rows(file), expected);
}

#[test]
fn ids_and_weights_come_in_two_lists_or_in_pairs() {
    let expected = [row(1, None, "a", ids(&[(7, 0.5, 0.05), (3, 2.0, 0.0)]))];
    for vector in [
        r#""indices":[7,3],"values":[0.5,2.0]"#,
        r#""vector":{"indices":[7,3],"values":[0.5,2.0]}"#,
        r#""sparse_embedding":[{"index":7,"value":0.5},{"index":3,"value":2.0}]"#,
    ] {
        assert_eq!(rows(&format!("{{\"text\":\"a\",{vector}}}")), expected, "{vector}");
    }
    let words = rows(r#"{"text":"a","vector":{"indices":0.5,"values":2.0}}"#);
    assert_eq!(words, [row(1, None, "a", terms(&[("indices", 0.5, 0.05), ("values", 2.0, 0.0)]))]);
}

#[test]
fn a_reply_of_embed_sparse_stands_beside_its_texts() {
    let expected = [row(1, None, "a", ids(&[(7, 0.25, 0.005)])), row(1, None, "b", ids(&[]))];
    for field in REPLY_FIELDS {
        let reply = format!(r#""{field}":[[{{"index":7,"value":0.25}}],[]]"#);
        assert_eq!(rows(&format!(r#"{{"inputs":["a","b"],{reply}}}"#)), expected);
    }
    let one = rows(r#"{"inputs":"a","outputs":[[{"index":7,"value":0.25}]]}"#);
    assert_eq!(one, expected[..1]);
}

#[test]
fn a_reply_of_predict_is_read_as_it_was_printed() {
    let file = r#"{
        "text_docs": ["a", "b"],
        "inference_results": [
            {"output": [{"name": "output", "dataAsMap": {"response": [
                {"7": 0.25}
            ]}}]},
            {"output": [{"name": "output", "dataAsMap": {"response": [{}]}}]}
        ]PARAMETERS
    }"#;
    let lexical = rows(&file.replace("PARAMETERS", ""));
    assert_eq!(lexical, [row(5, None, "a", terms(&[("7", 0.25, 0.005)])), row(7, None, "b", terms(&[]))]);
    let parameters = r#", "parameters": {"sparse_embedding_format": "TOKEN_ID", "content_type": "QUERY"}"#;
    let by_id = rows(&file.replace("PARAMETERS", parameters));
    let side = Some(Side::Query);
    assert_eq!(by_id, [row(5, side, "a", ids(&[(7, 0.25, 0.005)])), row(7, side, "b", ids(&[]))]);
    let together =
        r#"{"text_docs":["a","b"],"inference_results":[{"output":[{"dataAsMap":{"response":[{},{}]}}]}]}"#;
    assert_eq!(rows(together).len(), 2);
}

#[test]
fn a_score_has_a_query_and_a_document() {
    let (query, document) = ("q".to_string(), "d".to_string());
    let what = Golden::Score { query, document, score: written(12.5, 0.05) };
    assert_eq!(
        rows(r#"{"query":"q","document":"d","score":12.5}"#),
        [GoldenRow { line: 1, side: None, what }]
    );
}

#[test]
fn a_list_stands_for_its_rows() {
    let (a, b) = (r#"{"text":"a","vector":{}}"#, r#"{"text":"b","vector":{}}"#);
    let lines = |file: String| rows(&file).iter().map(|row| row.line).collect::<Vec<_>>();
    assert_eq!(lines(format!("[{a},{b}]")), [1, 1]);
    assert_eq!(lines(format!("[\n  {a},\n  {b}\n]\n")), [2, 3]);
    assert_eq!(lines(format!("[\n  {a}\n]\n[\n  {b}\n]")), [2, 5], "several values of several lines");
}

#[test]
fn what_cannot_be_compared_is_refused_with_its_place() {
    let good = r#"{"text":"a","vector":{}}"#;
    for (bad, what) in [
        (r#"{"text":"a","vector":"#, "line 2, column 21: not JSON: EOF"),
        (r#"{"text":"a","vector":{"b":NaN}}"#, "line 2, column 27: not JSON: expected value"),
        ("7", "line 2: not a JSON object but a number"),
        (r#"{"id":7}"#, "line 2: no text; expected {\"text\": …, \"vector\": …}"),
        (r#"[[{"index":7,"value":0.5}]]"#, "line 2: vectors without texts: a reply of /embed_sparse needs"),
        (r#"[{"index":7,"value":0.5}]"#, "line 2: no text; expected a reply of /embed_sparse needs"),
        (r#"{"inputs":"a"}"#, "line 2: `inputs` without `outputs`: a reply of /embed_sparse needs"),
        (r#"{"inputs":["a",7],"outputs":[]}"#, "line 2: the field `inputs` is a number, not a string"),
        (r#"{"inputs":["a","b"],"outputs":[[]]}"#, "line 2: texts in `inputs`: 2, vectors in `outputs`: 1"),
        (r#"{"inputs":"a","outputs":[[{"index":7}]]}"#, "line 2: vector 1 of `outputs`: missing field `value`"),
        (r#"{"inference_results":[]}"#, "line 2: a reply of _predict needs the request's texts"),
        (r#"{"text_docs":["a"]}"#, "line 2: a reply of _predict needs the request's texts"),
        (
            r#"{"text_docs":["a"],"inference_results":[{"output":[{"data":[0.5]}]}]}"#,
            "line 2: `inference_results`: missing field `dataAsMap`",
        ),
        (
            r#"{"text_docs":["a"],"inference_results":[],"parameters":{"sparse_embedding_format":"x"}}"#,
            "line 2: `sparse_embedding_format` is `x`, expected `word`, `lexical` or `token_id`",
        ),
        (
            r#"{"text_docs":["a"],"parameters":{"sparse_embedding_format":"token_id"},"inference_results":[{"output":[{"dataAsMap":{"response":[{"a":1}]}}]}]}"#,
            "line 2: vector 1 of `inference_results` has the index a, expected a whole number of 0 to 4294967295",
        ),
        (r#"{"query":"q","document":"d"}"#, "line 2: the row has no field `score`"),
        (r#"{"query":"q","document":"d","score":"1"}"#, "line 2: `score` is a string, not a number"),
        (r#"{"text":"a","query":"a","vector":{}}"#, "line 2: both `text` and `query`: only one is expected"),
        (r#"{"text":"a","text":"a","vector":{}}"#, "line 2: the field `text` is given twice"),
        (r#"{"text":"a","side":"left","vector":{}}"#, "line 2: `side` is `left`, expected `query` or `document`"),
        (r#"{"query":"a","as":"document","vector":{}}"#, "line 2: `as` is `document`, and another field says"),
        (r#"{"text":"a"}"#, "line 2: no vector; expected"),
        (r#"{"text":"a","indices":[1]}"#, "line 2: the row has no field `values`"),
        (r#"{"text":"a","indices":[1,2],"values":[0.5]}"#, "line 2: the row has 2 `indices` and 1 `values`"),
        (r#"{"text":"a","vector":{"indices":[1],"values":0.5}}"#, "line 2: `values` of `vector` is a number"),
        (r#"{"text":"a","vector":{"values":[0.5]}}"#, "line 2: `vector` has no field `indices`"),
        (r#"{"text":"a","vector":0.5}"#, "line 2: `vector` is a number, expected {\"term\": weight, …}"),
        (r#"{"text":"a","indices":[1,1],"values":[0.5,0.5]}"#, "line 2: the row has `1` twice"),
        (r#"{"text":"a","vector":{"b":1,"b":1}}"#, "line 2: `vector` has `b` twice"),
        (r#"{"text":"a","indices":[4294967296],"values":[1]}"#, "line 2: the row has the index 4294967296, expec"),
        (r#"{"text":"a","indices":[-1],"values":[1]}"#, "line 2: the row has the index -1, expected"),
        (r#"{"text":"a","indices":[1.0],"values":[1]}"#, "line 2: the row has the index 1.0, expected"),
        (r#"{"text":"a","vector":{"b":-0.5}}"#, "line 2: the weight of `b` in `vector` is -0.5, expected at least 0"),
        (r#"{"text":"a","vector":{"b":1e39}}"#, "line 2: the weight of `b` in `vector` is 1e39, not a finite 32-"),
        (r#"{"text":"a","vector":{"b":null}}"#, "line 2: the weight of `b` in `vector` is null, not a number"),
    ] {
        let found = reason(format!("{good}\n{bad}\n{good}"));
        assert!(found.starts_with(what), "{bad}: {found}");
    }
    assert_eq!(reason(b"\n{\"text\":\"\xff\"}"), "line 2: not UTF-8");
    assert!(reason("[\n{\"text\":\"a\",\n}]").starts_with("line 3, column 1: not JSON: "));
    for empty in ["", "\n \n", "[]"] {
        assert!(reason(empty).starts_with("nothing to compare with: no rows; expected"), "{empty:?}");
    }
}

#[test]
fn an_error_names_the_file() {
    let missing = read("no/such/golden.jsonl", Keys::Terms).expect_err("no such file");
    assert!(matches!(missing, Error::Read { file, .. } if file == "no/such/golden.jsonl"));
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let empty = read(file.path(), Keys::Terms).expect_err("nothing in it").to_string();
    assert!(empty.starts_with(&format!("`{}`: nothing to compare with", file.path().display())), "{empty}");
}

#[test]
fn keys_are_what_they_are_declared_to_be_unless_a_request_says_it() {
    let expected = [row(1, None, "a", ids(&[(7, 0.25, 0.005)]))];
    for file in [
        r#"{"text":"a","vector":{"7":0.25}}"#,
        r#"{"inputs":"a","outputs":[{"7":0.25}]}"#,
        r#"{"text_docs":["a"],"inference_results":[{"output":[{"dataAsMap":{"response":[{"7":0.25}]}}]}]}"#,
    ] {
        assert_eq!(parse(file.as_bytes(), Keys::Ids).expect("ids"), expected, "{file}");
        assert_eq!(rows(file), [row(1, None, "a", terms(&[("7", 0.25, 0.005)]))], "{file}");
    }
    let stated = r#"{"text_docs":["a"],"parameters":{"sparse_embedding_format":"lexical"},
        "inference_results":[{"output":[{"dataAsMap":{"response":[{"b":1}]}}]}]}"#;
    assert_eq!(parse(stated.as_bytes(), Keys::Ids).expect("terms").len(), 1);
    let reason = parse(br#"{"text":"a","vector":{"b":1}}"#, Keys::Ids).expect_err("a term");
    assert!(reason.starts_with("line 1: `vector` has the index b, expected a whole number"), "{reason}");
}
