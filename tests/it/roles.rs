//! Which side a text stands on, query sides without a model, and what each dialect makes of them.

use std::fs;
use std::io::Write;

use neural_sparse::known::find;
use neural_sparse::{Dialect, EncoderOptions, ModelFiles, Side, SparseEncoder};

use crate::program::{copied_whole, fixture, folder, neural_sparse};

const QUERY: &str = "What's the weather in ny now?";

/// The whole query vector that the authors of the English models publish for the text above.
const PUBLISHED: [(&str, f32); 9] = [
    ("ny", 5.772_862_4),
    ("weather", 4.568_415_6),
    ("now", 3.589_549_5),
    ("?", 3.331_254_7),
    ("what", 2.769_884_3),
    ("'", 1.575_071_6),
    ("s", 1.427_258_4),
    ("in", 0.498_926_46),
    ("the", 0.135_301_65),
];

fn vector(line: &str) -> Vec<(String, f32)> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
    let mut pairs: Vec<(String, f32)> =
        object.into_iter().map(|(term, weight)| (term, weight.as_f64().unwrap() as f32)).collect();
    pairs.sort_by(|a, b| b.1.total_cmp(&a.1));
    pairs
}

fn published() -> Vec<(String, f32)> {
    PUBLISHED.map(|(term, weight)| (term.to_string(), weight)).to_vec()
}

#[test]
fn queries_of_the_english_models_need_no_download() {
    let hub_id = "opensearch-project/opensearch-neural-sparse-encoding-doc-v2-mini";
    for model in ["doc-v1", "doc-v2-distill", "doc-v3-distill", hub_id] {
        for dialect in ["card", "ml-commons", "sentence-transformers"] {
            let args = ["encode", "--model", model, "--as", "query", "--dialect", dialect, QUERY];
            assert_eq!(vector(&neural_sparse(&args).run().ok()), published(), "{model} {dialect}");
        }
    }
    // Which side it is, is asked before anything is looked for.
    for command in ["encode", "explain"] {
        let stderr = neural_sparse(&[command, "--model", "doc-v2-distill", QUERY]).run().fails(2);
        assert!(stderr.contains("differently") && stderr.contains("`--as query`"), "{stderr}");
    }
    // Another model has another table, and a document needs the model.
    for args in [["multilingual-v1", "query"], ["doc-v2-distill", "document"]] {
        let stderr = neural_sparse(&["encode", "--model", args[0], "--as", args[1], QUERY]).run().fails(1);
        assert!(stderr.contains("is not in") && stderr.contains("model pull"), "{stderr}");
        assert_eq!(stderr.contains("with `--as query`"), args[0] == "doc-v2-distill", "{stderr}");
    }
}

/// An archive as ml-commons registers it, with these files.
fn archive(files: &[(&str, &[u8])]) -> (tempfile::TempDir, String) {
    let home = folder();
    let path = home.path().join("opensearch-neural-sparse-tokenizer-v1.zip");
    let mut zip = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    for (name, bytes) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
    (home, path.to_str().unwrap().to_string())
}

#[test]
fn a_tokenizer_archive_of_ml_commons_encodes_queries() {
    let tokenizer = fs::read(fixture("idf-query/tokenizer.json")).unwrap();
    let table = br#"{"weather": 2.5, "now": 0.5, "[CLS]": 1.0}"#;
    let (_home, path) = archive(&[("tokenizer.json", &tokenizer), ("idf.json", table)]);
    let encode = |dialect: &str, side: &[&str]| {
        let all = [&["encode", "--model", &path, "--dialect", dialect, "weather now the [MASK] now"], side]
            .concat();
        neural_sparse(&all).run()
    };
    let query = ["--as", "query"];
    // The table lacks `the`: 0 for the cards, 1 for a cluster.
    let terms = |pairs: &[(&str, f32)]| pairs.iter().map(|(t, w)| (t.to_string(), *w)).collect::<Vec<_>>();
    let short = terms(&[("weather", 2.5), ("now", 0.5)]);
    assert_eq!(vector(&encode("card", &query).ok()), short);
    assert_eq!(vector(&encode("sentence-transformers", &query).ok()), short);
    let long = terms(&[("weather", 2.5), ("the", 1.0), ("now", 0.5)]);
    assert_eq!(vector(&encode("ml-commons", &query).ok()), long);
    assert!(encode("card", &[]).fails(2).contains("--as query"));
    let stderr = encode("card", &["--as", "document"]).fails(1);
    assert!(stderr.contains("cannot encode documents") && stderr.contains("a table for queries"), "{stderr}");

    // Without a table there is nothing to weigh tokens by.
    let (_home, path) = archive(&[("tokenizer.json", &tokenizer)]);
    for side in ["query", "document"] {
        let stderr = neural_sparse(&["encode", "--model", &path, "--as", side, "weather now"]).run().fails(1);
        assert!(stderr.contains("without `idf.json`") && stderr.contains(&path), "{stderr}");
    }
}

#[test]
fn a_torchscript_archive_is_refused_with_the_name_on_the_hub() {
    let home = folder();
    let path = home
        .path()
        .join("neural-sparse_opensearch-neural-sparse-encoding-doc-v2-distill-1.0.0-torch_script.zip");
    let mut zip = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    for name in ["opensearch-neural-sparse-encoding-doc-v2-distill.pt", "tokenizer.json"] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(b"x").unwrap();
    }
    zip.finish().unwrap();
    let path = path.to_str().unwrap();
    let stderr = neural_sparse(&["encode", "--model", path, "x"]).run().fails(1);
    assert!(stderr.contains("TorchScript") && stderr.contains("`--model doc-v2-distill`"), "{stderr}");
    let other = home.path().join("model.zip");
    fs::copy(path, &other).unwrap();
    let stderr = neural_sparse(&["encode", "--model", other.to_str().unwrap(), "x"]).run().fails(1);
    assert!(stderr.contains("model list"), "{stderr}");
}

#[test]
fn archives_that_are_none_are_refused() {
    let home = folder();
    let cut = home.path().join("cut.zip");
    let (_home, whole) = archive(&[("tokenizer.json", b"{}"), ("idf.json", b"{}")]);
    let bytes = fs::read(&whole).unwrap();
    fs::write(&cut, &bytes[..bytes.len() - 30]).unwrap();
    let empty = archive(&[]);
    let model = archive(&[("config.json", b"{}"), ("tokenizer.json", b"{}")]);
    let below = archive(&[("model/tokenizer.json", b"{}")]);
    for (path, says) in [
        (cut.to_str().unwrap(), "zip archive"),
        (&whole, "tokenizer.json"),
        (&empty.1, "without `tokenizer.json`"),
        (&model.1, "unpack it, and name the folder"),
        (&below.1, "`model/tokenizer.json`"),
    ] {
        let stderr = neural_sparse(&["encode", "--model", path, "--as", "query", "x"]).run().fails(1);
        assert!(stderr.contains(says), "{stderr}");
    }
}

/// A copy of a known model that lacks its query side must not encode queries with its documents' model.
#[test]
fn a_known_model_without_its_query_side_is_not_taken_for_a_symmetric_one() {
    let load = |name: &str| {
        let files = ModelFiles::folder(name, fixture("bert-tied"));
        SparseEncoder::load(&files, &EncoderOptions { known: find(name), ..EncoderOptions::default() })
    };
    let weights = |name: &str, text: &str, side: Side| {
        let encoded = load(name).unwrap().encode(&[text], side).unwrap().remove(0);
        encoded.vector
    };
    let refused = load("multilingual-v1").err().unwrap().to_string();
    assert!(refused.contains("`multilingual-v1` has a query side of its own"), "{refused}");
    assert!(load("naver/efficient-splade-V-large-doc").is_err());
    // Documents do without.
    let known = find("multilingual-v1");
    let only = EncoderOptions { only: Some(Side::Document), known, ..EncoderOptions::default() };
    let files = ModelFiles::folder("multilingual-v1", fixture("bert-tied"));
    assert!(SparseEncoder::load(&files, &only).unwrap().encode(&["rain"], Side::Document).is_ok());
    let bag = weights("naver/splade-v3-doc", "rain rain now", Side::Query);
    assert_eq!(bag.weights(), [1.0, 1.0]);
    let text = "when it rains in the city we take our books and walk to the old house by the river";
    let document = weights("naver/splade-v3-lexical", text, Side::Document);
    let own = weights("naver/splade-v3-lexical", text, Side::Query);
    assert!(!own.is_empty() && own.len() < document.len(), "{} of {}", own.len(), document.len());
    assert!(own.iter().all(|(id, weight)| document.iter().any(|other| other == (id, weight))));
    // The table of an English model is compiled in, in the order of its vocabulary.
    let copy = ModelFiles::folder("doc-v2-distill", fixture("../../src/source/builtin/tiny"));
    let options = EncoderOptions { known: find("doc-v2-distill"), ..EncoderOptions::default() };
    let encoder = SparseEncoder::load(&copy, &options).unwrap();
    let query = encoder.encode(&[QUERY], Side::Query).unwrap().remove(0).vector;
    assert_eq!(query.len(), PUBLISHED.len());
    assert!(PUBLISHED.iter().all(|(_, weight)| query.weights().contains(weight)));
    let refused = load("doc-v2-distill").err().unwrap().to_string();
    assert!(refused.contains("built in") && refused.contains("30522"), "{refused}");
}

#[test]
fn a_long_query_of_a_table_is_cut_or_not_as_the_dialect_says() {
    // The table's own tokenizer has a limit of 24.
    let text = format!("{} weather", vec!["the"; 40].join(" "));
    let encode = |dialect: Dialect, max_length: Option<usize>| {
        let options =
            EncoderOptions { dialect, max_length, only: Some(Side::Query), ..EncoderOptions::default() };
        let files = ModelFiles::folder("st5-router", fixture("st5-router"));
        let encoder = SparseEncoder::load(&files, &options).unwrap();
        (
            encoder.encode(&[&text], Side::Query).unwrap().remove(0),
            encoder.num_tokens(&text, Side::Query).unwrap(),
        )
    };
    let (card, of_card) = encode(Dialect::Card, None);
    let (cluster, of_cluster) = encode(Dialect::MlCommons, None);
    assert_eq!((card.num_tokens, card.is_cut, of_card), (24, true, 41 + 2));
    assert_eq!((cluster.num_tokens, cluster.is_cut, of_cluster), (41, false, 41));
    let (theirs, of_theirs) = encode(Dialect::SentenceTransformers, None);
    assert_eq!((theirs.num_tokens, theirs.is_cut, of_theirs), (24, true, 41));
    assert_eq!(encode(Dialect::MlCommons, Some(10)).0.num_tokens, 10);
    assert_eq!(cluster.vector.len(), card.vector.len() + 1, "the last word is seen");
}

#[test]
fn prompts_stand_before_each_text_and_not_in_its_explanation() {
    let files = ModelFiles::folder("st6-prompts", fixture("st6-prompts"));
    let encoder = SparseEncoder::load(&files, &EncoderOptions::default()).unwrap();
    let explanation = encoder.explain("rain now", Side::Document).unwrap();
    let spans: Vec<_> = explanation.tokens.iter().filter_map(|token| token.span.clone()).collect();
    assert_eq!(spans, [0..4, 5..8]);
    assert!(explanation.tokens.len() > 4, "the prompt has tokens too");
    let vector = &encoder.encode(&["rain now"], Side::Document).unwrap()[0].vector;
    assert_eq!(&explanation.encoded.vector, vector);
    assert_eq!(vector.len(), 16, "max_active_dims");
}

#[test]
fn pruning_drops_a_weight_on_the_line_where_ml_commons_does() {
    let tokenizer = fs::read(fixture("idf-query/tokenizer.json")).unwrap();
    let (_home, path) =
        archive(&[("tokenizer.json", &tokenizer), ("idf.json", br#"{"weather": 4, "now": 2, "the": 1}"#)]);
    for (dialect, kept) in [("card", 2), ("ml-commons", 1), ("sentence-transformers", 2)] {
        let args = [
            "encode",
            "--model",
            &path,
            "--as",
            "query",
            "--dialect",
            dialect,
            "--prune",
            "max_ratio=0.5",
            "weather now the",
        ];
        assert_eq!(vector(&neural_sparse(&args).run().ok()).len(), kept, "{dialect}");
    }
    let stderr = neural_sparse(&["encode", "--model", "tiny", "--dialect", "lucene", "x"]).run().fails(2);
    assert!(stderr.contains("card, ml-commons, sentence-transformers"), "{stderr}");
}

#[test]
fn modules_that_cannot_be_followed_are_refused_by_name() {
    let with = |file: &str, from: &str, to: &str| {
        let model = copied_whole("st6-router");
        let path = model.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let files = ModelFiles::folder("copy", model.path());
        let error = SparseEncoder::load(&files, &EncoderOptions::default()).err().unwrap();
        assert!(error.to_string().contains(file), "{error}");
        error.to_string()
    };
    for (file, from, to, says) in [
        ("modules.json", "router.Router", "dense.Dense", "the modules `Dense` in a row are not supported"),
        ("modules.json", "\"path\": \"\"", "\"path\": \"../elsewhere\"", "not a folder beside it"),
        (
            "router_config.json",
            "splade_pooling.SpladePooling\"",
            "csr_sparsity.CSRSparsity\"",
            "`Transformer`, `CSRSparsity` in a row",
        ),
        ("router_config.json", "\"query\":", "\"question\":", "no route `query`, only document, question"),
        ("router_config.json", "\"structure\"", "\"structures\"", "no `structure`"),
        (
            "document_0_Transformer/sentence_bert_config.json",
            "fill-mask",
            "feature-extraction",
            "dense vectors",
        ),
        (
            "document_0_Transformer/sentence_bert_config.json",
            "{",
            "{\"query_expansion\": {\"length\": 8},",
            "`query_expansion`",
        ),
        (
            "document_0_Transformer/sentence_bert_config.json",
            "{",
            "{\"processing_kwargs\": {\"text\": {\"max_length\": 8}},",
            "`processing_kwargs.text`",
        ),
        (
            "router_config.json",
            "\"route_mappings\": {",
            "\"route_mappings\": {\"a\": \"b\"",
            "parameters.route_mappings`",
        ),
        (
            "query_0_SparseStaticEmbedding/config.json",
            "{",
            "{\"path\": \"elsewhere/missing.json\",",
            "missing.json",
        ),
        ("document_1_SpladePooling/config.json", "\"max\"", "\"mean\"", "\"max\" and \"sum\""),
    ] {
        let error = with(file, from, to);
        assert!(error.contains(says), "{error}");
    }
}
