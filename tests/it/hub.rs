//! From a model's name to a folder: cache, download, and everything that can go wrong in between.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use neural_sparse::hub::{self, Credentials, HubError, HubOptions, Parts, Pulled};
use neural_sparse::ModelFiles;

use crate::hub_contents::{bert, files, model_files, padded, router, with};
use crate::hub_server::{sha256, Fault, HubServer, COMMIT};

pub const ID: &str = "test-org/test-model";

fn resolve(name: &str, revision: Option<&str>, options: &HubOptions) -> Result<ModelFiles, HubError> {
    Ok(hub::resolve(name, revision, Parts::Whole, options)?.files)
}

fn pull(name: &str, revision: Option<&str>, options: &HubOptions) -> Result<Pulled, HubError> {
    hub::pull(name, revision, Parts::Whole, options)
}

/// A hub and an empty cache.
pub struct Setting {
    pub server: HubServer,
    pub folder: tempfile::TempDir,
}

impl Setting {
    pub fn new(files: Vec<(String, Vec<u8>)>) -> Setting {
        Setting {
            server: HubServer::start(ID, files),
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    pub fn options(&self) -> HubOptions {
        HubOptions {
            cache_dir: self.folder.path().join("hub"),
            endpoint: self.server.endpoint(),
            token: None,
            offline: false,
            stall_timeout: Duration::from_secs(20),
            on_progress: None,
        }
    }

    pub fn offline(&self) -> HubOptions {
        HubOptions { offline: true, ..self.options() }
    }

    pub fn resolve(&self) -> Result<ModelFiles, HubError> {
        resolve(ID, None, &self.options())
    }

    pub fn error(&self) -> HubError {
        self.resolve().expect_err("an error")
    }

    pub fn repo(&self) -> PathBuf {
        self.folder.path().join("hub/models--test-org--test-model")
    }

    pub fn snapshot(&self) -> PathBuf {
        self.repo().join("snapshots").join(COMMIT)
    }

    pub fn blobs(&self) -> Vec<String> {
        let entries = fs::read_dir(self.repo().join("blobs")).expect("blobs");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into()).collect();
        names.retain(|name| !name.ends_with(".lock"));
        names.sort();
        names
    }

    /// The files that were sent (not only looked at), in order.
    pub fn sent(&self) -> Vec<String> {
        let requests = self.server.requests();
        let sent =
            requests.iter().filter(|request| request.path.contains("/resolve/") && !request.is_probe());
        sent.map(|request| request.path.split('/').skip(5).collect::<Vec<_>>().join("/")).collect()
    }
}

fn content(folder: &Path, file: &str) -> String {
    fs::read_to_string(folder.join(file)).expect(file)
}

#[test]
fn a_download_is_complete_and_is_not_repeated() {
    let setting = Setting::new(model_files());
    let model = setting.resolve().expect("a model");
    assert_eq!(model.name(), ID);
    assert_eq!(model.path(), Some(setting.snapshot().as_path()));
    for (name, bytes) in model_files() {
        let needed = name != "README.md";
        assert_eq!(
            model.read(&name).expect("a file").as_deref(),
            needed.then_some(bytes.as_slice()),
            "{name}"
        );
    }
    // As Python notes it: the branch, and no branch that is called as the commit.
    assert_eq!(content(&setting.repo(), "refs/main"), COMMIT);
    assert!(!setting.repo().join("refs").join(COMMIT).exists());
    assert!(fs::read_link(setting.snapshot().join("config.json")).expect("a link").is_relative());

    assert_eq!(setting.sent().last().map(String::as_str), Some("model.safetensors"));
    setting.resolve().expect("the cached model");
    resolve(ID, Some(COMMIT), &setting.options()).expect("the cached model by its commit");
    assert_eq!(setting.server.requests().len(), 0);
}

#[test]
fn only_needed_files_are_downloaded() {
    let modules = router(
        &[("query_0_SparseStaticEmbedding", "SparseStaticEmbedding")],
        &[("", "MLMTransformer"), ("document_1_SpladePooling", "SpladePooling")],
    );
    let names = [
        ".gitattributes",
        "1_SpladePooling/config.json",
        "a/b_SpladePooling/config.json",
        "config.json",
        "document_1_SpladePooling/config.json",
        "flax_model.msgpack",
        "idf.json",
        "model.safetensors",
        "model.safetensors.index.json",
        "onnx/model.onnx",
        "openvino/openvino_model.bin",
        "pytorch_model.bin",
        "query_0_SparseStaticEmbedding/config.json",
        "query_0_SparseStaticEmbedding/model.safetensors",
        "query_0_SparseStaticEmbedding/tokenizer.json",
        "query_0_SparseStaticEmbedding/vocab.txt",
        "query_token_weights.txt",
        "tokenizer.json",
        "vocab.txt",
    ];
    let setting = Setting::new(with(files(&names), "router_config.json", &modules));
    setting.resolve().expect("a model");
    assert_eq!(
        setting.sent(),
        [
            "config.json",
            "router_config.json",
            "query_0_SparseStaticEmbedding/config.json",
            "document_1_SpladePooling/config.json",
            "tokenizer.json",
            "query_0_SparseStaticEmbedding/tokenizer.json",
            "query_0_SparseStaticEmbedding/model.safetensors",
            "model.safetensors",
        ]
    );
}

#[test]
fn second_choices_are_downloaded_where_the_first_are_absent() {
    let setting =
        Setting::new(files(&["config.json", "pytorch_model.bin", "query_token_weights.txt", "vocab.txt"]));
    setting.resolve().expect("a model");
    assert_eq!(setting.sent(), ["config.json", "vocab.txt", "query_token_weights.txt", "pytorch_model.bin"]);
    resolve(ID, None, &setting.offline()).expect("the cached model");
}

fn sharded(index: &str) -> Vec<(String, Vec<u8>)> {
    let names = ["config.json", "tokenizer.json", "a.safetensors", "b.safetensors", "c.safetensors"];
    with(files(&names), "model.safetensors.index.json", index)
}

#[test]
fn the_shards_that_an_index_names_are_downloaded() {
    let setting = Setting::new(sharded(
        r#"{"weight_map": {"x": "b.safetensors", "y": "a.safetensors", "z": "b.safetensors"}}"#,
    ));
    setting.resolve().expect("a model");
    assert_eq!(
        setting.sent(),
        ["config.json", "model.safetensors.index.json", "tokenizer.json", "a.safetensors", "b.safetensors"]
    );
    fs::remove_file(setting.snapshot().join("b.safetensors")).expect("a shard");
    let error = resolve(ID, None, &setting.offline()).expect_err("a missing shard");
    assert!(error.to_string().contains("b.safetensors"), "{error}");
}

#[test]
fn an_index_cannot_name_a_file_elsewhere() {
    for name in ["../../secret", "/etc/passwd", "sub/a.safetensors", "..", r"a\\b", ""] {
        let setting = Setting::new(sharded(&format!(r#"{{"weight_map": {{"x": "{name}"}}}}"#)));
        let error = setting.error();
        let says = format!("`{ID}/model.safetensors.index.json`: ");
        assert!(
            matches!(error, HubError::Model(_)) && error.to_string().starts_with(&says),
            "{name}: {error}"
        );
        assert!(!setting.sent().iter().any(|file| file.ends_with(".safetensors")));
    }
    let error = Setting::new(sharded("{}")).error();
    assert!(error.to_string().contains("weight_map"), "{error}");
}

#[cfg(unix)]
#[test]
fn the_cache_of_python_is_found() {
    let setting = Setting::new(Vec::new());
    for (name, bytes) in model_files() {
        let etag = sha256(&bytes);
        let (blob, link) = (setting.repo().join("blobs").join(&etag), setting.snapshot().join(name));
        fs::create_dir_all(setting.repo().join("blobs")).expect("a folder");
        fs::create_dir_all(setting.snapshot()).expect("a folder");
        fs::write(blob, bytes).expect("a blob");
        std::os::unix::fs::symlink(format!("../../blobs/{etag}"), link).expect("a link");
    }
    // Fetched by its full hash: Python writes no file under refs/.
    let model = resolve(ID, Some(COMMIT), &setting.offline()).expect("the model by its commit");
    assert_eq!(model.path(), Some(setting.snapshot().as_path()));
    assert!(matches!(
        resolve(ID, None, &setting.offline()),
        Err(HubError::NotCached { revision, .. }) if revision == "main"
    ));

    fs::create_dir_all(setting.repo().join("refs")).expect("a folder");
    fs::write(setting.repo().join("refs/main"), COMMIT).expect("a ref");
    let model = resolve(ID, None, &setting.options()).expect("the model");
    assert_eq!(model.path(), Some(setting.snapshot().as_path()));
    assert_eq!(setting.server.requests().len(), 0);
}

#[test]
fn a_cached_document_encoder_without_its_query_table_is_incomplete() {
    // Python's transformers fetches no table; queries would be encoded by the wrong side.
    let setting = Setting::new(Vec::new());
    let id = "opensearch-project/opensearch-neural-sparse-encoding-doc-v3-distill";
    let repo = setting.options().cache_dir.join(format!("models--{}", id.replace('/', "--")));
    let folder = repo.join("snapshots").join(COMMIT);
    fs::create_dir_all(&folder).expect("a folder");
    for (name, bytes) in model_files() {
        fs::write(folder.join(name), bytes).expect("a file");
    }
    let error = resolve(id, Some(COMMIT), &setting.offline()).expect_err("no table");
    assert!(matches!(&error, HubError::Incomplete { file, .. } if file.ends_with("idf.json")), "{error}");
    fs::write(folder.join("query_token_weights.txt"), "a\t1.0\n").expect("a file");
    resolve(id, Some(COMMIT), &setting.offline()).expect("the cached model");
}

#[test]
fn half_of_a_pair_of_models_is_incomplete() {
    // Python's transformers fetches the model in the root, and not the one in the folder of the other route.
    let setting = Setting::new(Vec::new());
    let id = "naver/efficient-splade-VI-BT-large-doc";
    let repo = setting.options().cache_dir.join(format!("models--{}", id.replace('/', "--")));
    let folder = repo.join("snapshots").join(COMMIT);
    fs::create_dir_all(folder.join("query_0_MLMTransformer")).expect("a folder");
    for (name, bytes) in model_files() {
        fs::write(folder.join(name), bytes).expect("a file");
    }
    let lacks = |file: &str| {
        let error = resolve(id, Some(COMMIT), &setting.offline()).expect_err("half a model");
        assert!(
            matches!(&error, HubError::Incomplete { file: lacking, .. } if lacking.ends_with(file)),
            "{error}"
        );
    };
    lacks("router_config.json");
    let modules = router(
        &[("query_0_MLMTransformer", "MLMTransformer"), ("query_1_SpladePooling", "SpladePooling")],
        &[("", "MLMTransformer"), ("document_1_SpladePooling", "SpladePooling")],
    );
    fs::write(folder.join("router_config.json"), modules).expect("a file");
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        let file = format!("query_0_MLMTransformer/{file}");
        lacks(&file);
        fs::write(folder.join(&file), &files(&[&file])[0].1).expect("a file");
    }
    resolve(id, Some(COMMIT), &setting.offline()).expect("both models");
}

#[test]
fn offline_makes_no_request() {
    let setting = Setting::new(model_files());
    let error = resolve(ID, None, &setting.offline()).expect_err("an empty cache");
    assert!(matches!(error, HubError::NotCached { .. }), "{error}");
    let error = pull(ID, None, &setting.offline()).expect_err("no network");
    assert!(matches!(error, HubError::Option(_)), "{error}");
    assert_eq!(setting.server.requests().len(), 0);
    assert!(!setting.repo().exists());

    setting.resolve().expect("a model");
    setting.server.requests();
    resolve(ID, None, &setting.offline()).expect("the cached model");
    fs::remove_file(setting.snapshot().join("model.safetensors")).expect("the parameters");
    let error = resolve(ID, None, &setting.offline()).expect_err("no parameters");
    assert!(
        matches!(&error, HubError::Incomplete { file, .. } if file.ends_with("model.safetensors")),
        "{error}"
    );
    assert_eq!(setting.server.requests().len(), 0);
}

#[test]
fn a_short_name_stands_for_its_hub_id() {
    let setting = Setting::new(model_files());
    let error = resolve("doc-v3-distil", None, &setting.options()).expect_err("a slip");
    assert!(matches!(error, HubError::UnknownName { nearest: Some("doc-v3-distill"), .. }), "{error}");
    assert_eq!(setting.server.requests().len(), 0);

    resolve("doc-v3-distill", None, &setting.options()).expect_err("another repository than the server has");
    let path = setting.server.requests()[0].path.clone();
    let id = "opensearch-project/opensearch-neural-sparse-encoding-doc-v3-distill";
    assert_eq!(path, format!("/api/models/{id}/revision/main"));
}

#[test]
fn a_name_that_means_nothing_is_refused_without_a_request() {
    let setting = Setting::new(model_files());
    let file = setting.folder.path().join("a-file");
    fs::write(&file, "").expect("a file");
    let file = file.to_string_lossy().into_owned();
    for (name, part) in [
        (file.as_str(), "is a file, not a folder"),
        ("./nowhere", "`./nowhere`: no such folder"),
        ("/nowhere", "no such folder"),
        ("~/nowhere", "no such folder"),
        (r"C:\nowhere", "no such folder"),
        ("a/b/c", "no such folder"),
        // What the table of known models says of `tiny` is no name.
        ("built in", "no model is called `built in`"),
        ("", "empty"),
        ("no-such-model-at-all", "no model is called `no-such-model-at-all`"),
        ("org/", "neither a folder nor a hub id"),
        ("org/a..b", "neither"),
        ("org/a b", "neither"),
        ("org/a?b=c", "neither"),
        ("org/.hidden", "neither"),
    ] {
        let error = resolve(name, None, &setting.options()).expect_err(name);
        assert!(error.to_string().contains(part), "{name}: {error}");
    }
    for revision in ["", "a b", "../main", "a//b", "main?x", "ä"] {
        let error = resolve(ID, Some(revision), &setting.options()).expect_err(revision);
        assert!(error.to_string().contains("is not a revision"), "{revision}: {error}");
    }
    assert_eq!(setting.server.requests().len(), 0);
}

#[test]
fn a_folder_and_tiny_have_no_revision() {
    let setting = Setting::new(Vec::new());
    let folder = setting.folder.path().to_string_lossy().into_owned();
    let model = resolve(&folder, None, &setting.options()).expect("a folder");
    assert_eq!(model.path(), Some(setting.folder.path()));
    assert_eq!(resolve("tiny", None, &setting.options()).expect("tiny").path(), None);
    assert_eq!(pull("tiny", None, &setting.options()).expect("tiny").commit, None);
    for name in [folder.as_str(), "tiny"] {
        let error = resolve(name, Some("main"), &setting.options()).expect_err(name);
        assert!(matches!(error, HubError::NoRevision { .. }), "{error}");
        assert!(error.to_string().contains("has no revision `main`"), "{error}");
    }
    assert_eq!(setting.server.requests().len(), 0);
}

#[test]
fn a_revision_with_a_slash_is_one_step_of_the_address() {
    let setting = Setting::new(model_files());
    resolve(ID, Some("refs/pr/1"), &setting.options()).expect("a model");
    assert_eq!(setting.server.requests()[0].path, format!("/api/models/{ID}/revision/refs%2Fpr%2F1"));
    assert_eq!(content(&setting.repo(), "refs/refs/pr/1"), COMMIT);
    resolve(ID, Some("refs/pr/1"), &setting.offline()).expect("the cached model");
}

#[test]
fn a_repository_that_does_not_exist_is_named() {
    let setting = Setting::new(model_files());
    setting.server.set_fault(Fault::Status(404));
    let error = resolve(ID, Some("v9"), &setting.options()).expect_err("404");
    assert!(matches!(error, HubError::NotFound { .. }), "{error}");
    assert!(error.to_string().contains(ID) && error.to_string().contains("`v9`"), "{error}");
    // The answer will not change: it is not asked for again.
    assert_eq!(setting.server.requests().len(), 1);
}

#[test]
fn a_gated_repository_asks_for_a_token() {
    let setting = Setting::new(model_files());
    for fault in [Fault::Status(401), Fault::Status(403), Fault::FileStatus(401), Fault::FileStatus(403)] {
        setting.server.set_fault(fault);
        setting.server.requests();
        let error = setting.error();
        assert!(matches!(error, HubError::Refused { credentials: Credentials::None, .. }), "{error}");
        assert!(setting.server.requests().iter().all(|request| request.authorization.is_none()));

        let options = HubOptions { token: Some("hf_secret".into()), ..setting.options() };
        let error = resolve(ID, None, &options).expect_err("refused");
        assert!(error.to_string().contains("the token was refused"), "{error}");
    }
}

#[test]
fn the_token_is_sent_and_not_shown() {
    let setting = Setting::new(model_files());
    // Whoever wants this one asks for it.
    fs::write(setting.folder.path().join("token"), "hf_from_disk").expect("a token");
    let options = HubOptions { token: Some("hf_secret".into()), ..setting.options() };
    assert!(!format!("{options:?}").contains("hf_secret"));
    resolve(ID, None, &options).expect("a model");
    let requests = setting.server.requests();
    let to_the_hub = requests.iter().filter(|request| !request.path.starts_with("/cdn/"));
    for request in to_the_hub {
        assert_eq!(
            (request.method.as_str(), request.authorization.as_deref()),
            ("GET", Some("Bearer hf_secret"))
        );
    }

    pull(ID, None, &setting.options()).expect("a model");
    assert!(setting.server.requests().iter().all(|request| request.authorization.is_none()));

    let options = HubOptions { token: Some("two\nlines".into()), ..setting.options() };
    let error = pull(ID, None, &options).expect_err("no token");
    assert!(matches!(error, HubError::Token) && !error.to_string().contains("lines"), "{error}");
}

#[test]
fn a_hub_that_cannot_be_reached_names_the_ways_out() {
    let setting = Setting::new(Vec::new());
    let port =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let options = HubOptions { endpoint: format!("http://127.0.0.1:{port}"), ..setting.options() };
    let start = Instant::now();
    for error in
        [resolve(ID, None, &options).expect_err("refused"), pull(ID, None, &options).expect_err("refused")]
    {
        assert!(matches!(error, HubError::Unreachable { .. }), "{error}");
        let source = std::error::Error::source(&error).expect("a cause").to_string();
        assert!(source.to_lowercase().contains("refused"), "{source}");
    }
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_endpoint_must_be_an_address() {
    let setting = Setting::new(model_files());
    for endpoint in ["", "huggingface.co", "ftp://huggingface.co", "http://", "http:///x", "not an address"] {
        let options = HubOptions { endpoint: endpoint.into(), ..setting.options() };
        let error = resolve(ID, None, &options).expect_err(endpoint);
        assert!(matches!(error, HubError::Endpoint { .. }), "{endpoint}: {error}");
    }
    let options = HubOptions { endpoint: format!("{}/", setting.server.endpoint()), ..setting.options() };
    resolve(ID, None, &options).expect("a slash at the end does no harm");
}

#[test]
fn what_is_no_hub_is_an_error() {
    let setting = Setting::new(model_files());
    for fault in [Fault::NotAHub, Fault::RedirectNowhere] {
        setting.server.set_fault(fault);
        let error = setting.error();
        assert!(matches!(error, HubError::Answer { .. }), "{error}");
    }
}

#[test]
fn a_repository_without_a_checkpoint_says_what_is_missing() {
    for (more, part) in
        [(&[][..], "`tokenizer.json` (nor `vocab.txt`)"), (&["vocab.txt"], "`model.safetensors`")]
    {
        let names = [&["README.md", "config.json", "tf_model.h5"], more].concat();
        let setting = Setting::new(files(&names));
        let error = setting.error();
        assert!(matches!(&error, HubError::NoCheckpoint { missing, .. } if missing.len() == 1), "{error}");
        for part in [ID, "no masked-language-model checkpoint", part] {
            assert!(error.to_string().contains(part), "{error}");
        }
        assert!(!error.to_string().contains("config.json"), "{error}");
        assert!(!setting.sent().iter().any(|file| ["vocab.txt", "tf_model.h5"].contains(&file.as_str())));
    }
}

#[test]
fn a_failure_that_passes_is_tried_again() {
    let setting = Setting::new(model_files());
    setting.server.set_fault(Fault::StatusOnce(500));
    setting.resolve().expect("a model");

    let setting = Setting::new(model_files());
    setting.server.set_fault(Fault::Status(503));
    let error = setting.error();
    assert!(matches!(error, HubError::Status { status: 503, .. }), "{error}");
    assert_eq!(setting.server.requests().len(), 3);
}

#[test]
fn a_body_cut_short_leaves_nothing_in_place() {
    let setting = Setting::new(model_files());
    setting.server.set_fault(Fault::CutShort("model.safetensors"));
    let error = setting.error();
    let size = model_files()[0].1.len() as u64;
    assert!(
        matches!(&error, HubError::CutShort { expected, got, .. } if *expected == size && *got < size && *got > 0),
        "{error}"
    );
    let etag = sha256(&model_files()[0].1);
    assert!(!setting.blobs().contains(&etag));
    assert!(!setting.snapshot().join("model.safetensors").exists());
    assert!(!setting.repo().join("refs/main").exists());
    assert!(setting.repo().join("blobs").join(etag).with_extension("part").exists());
    resolve(ID, None, &setting.offline()).expect_err("an incomplete model");
}

#[test]
fn an_interrupted_download_goes_on_where_it_stopped() {
    let setting = Setting::new(model_files());
    setting.server.set_fault(Fault::CutShort("model.safetensors"));
    setting.error();
    setting.server.set_fault(Fault::None);
    setting.server.requests();

    let pulled = pull(ID, None, &setting.options()).expect("a model");
    assert_eq!(
        pulled.downloaded.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(),
        ["model.safetensors"]
    );
    assert_eq!(pulled.present.len(), 3);
    assert_eq!(
        pulled.files.read("model.safetensors").expect("a file").as_deref(),
        Some(&model_files()[0].1[..])
    );
    let requests = setting.server.requests();
    let resumed = requests.iter().any(|request| {
        request.path.ends_with("model.safetensors")
            && request.range.as_deref().is_some_and(|range| !range.starts_with("bytes=0-"))
    });
    assert!(resumed, "{requests:?}");
}

#[test]
fn a_leftover_that_cannot_be_completed_is_downloaded_afresh() {
    let bytes = &model_files()[0].1;
    for leftover in [&b"other bytes"[..], &vec![b'x'; bytes.len()], &vec![b'x'; bytes.len() + 1]] {
        let setting = Setting::new(model_files());
        let blobs = setting.repo().join("blobs");
        fs::create_dir_all(&blobs).expect("a folder");
        fs::write(blobs.join(sha256(bytes)).with_extension("part"), leftover).expect("a leftover");
        let model = setting.resolve().expect("a model");
        assert_eq!(model.read("model.safetensors").expect("a file").as_deref(), Some(&bytes[..]));
    }
}

#[test]
fn wrong_bytes_do_not_stay() {
    for (fault, file) in [
        (Fault::WrongSize("model.safetensors"), "model.safetensors"),
        (Fault::WrongHash("model.safetensors"), "model.safetensors"),
        (Fault::WrongSize("config.json"), "config.json"),
    ] {
        let setting = Setting::new(model_files());
        setting.server.set_fault(fault);
        let error = setting.error();
        let text = error.to_string();
        match error {
            HubError::WrongSize { expected, got, .. } => assert_eq!(expected, got + 7),
            HubError::WrongHash { expected, got, .. } => {
                assert_eq!(expected, sha256(&model_files()[0].1));
                assert_ne!(expected, got);
            }
            error => panic!("{error}"),
        }
        assert!(text.contains("expected") && text.contains("got") && text.contains(file), "{text}");
        assert!(fs::symlink_metadata(setting.snapshot().join(file)).is_err());
        let wrong = model_files().into_iter().find(|(name, _)| name == file).expect("the file").1;
        assert!(setting.blobs().iter().all(|blob| !sha256(&wrong).starts_with(blob.as_str())), "{text}");

        setting.server.set_fault(Fault::None);
        setting.resolve().expect("a model");
    }
}

#[test]
fn pull_replaces_damaged_files() {
    let settings = model_files().into_iter().map(|(name, _)| name).filter(|name| name.ends_with(".json"));
    for name in settings.chain(["model.safetensors".into()]) {
        let setting = Setting::new(model_files());
        setting.resolve().expect("a model");
        let path = setting.snapshot().join(&name);
        let whole = fs::read(&path).expect("a file");
        let mut changed = whole.clone();
        // The hub states no SHA-256 of settings: those of the right size are found out by what they hold.
        changed[0] ^= 1;
        for damaged in [&whole[..7], &[], &changed, &vec![0; whole.len()]] {
            fs::write(&path, damaged).expect("a file");
            let pulled = pull(ID, None, &setting.options()).expect("a model");
            let downloaded: Vec<&str> = pulled.downloaded.iter().map(|file| file.name.as_str()).collect();
            assert!(downloaded.contains(&name.as_str()), "{name}: {downloaded:?}");
            assert_eq!(downloaded.contains(&"model.safetensors"), name == "model.safetensors");
            assert_eq!(downloaded.len() + pulled.present.len(), 4, "{name}: {pulled:?}");
            for (name, bytes) in model_files().into_iter().filter(|(name, _)| name != "README.md") {
                assert_eq!(pulled.files.read(&name).expect("a file").as_deref(), Some(&bytes[..]));
            }
        }
    }
}

#[test]
fn damaged_settings_in_the_cache_are_named_offline_and_repaired_online() {
    for (name, damaged) in [
        ("config.json", "not JSON"),
        ("config.json", r#"{"model_type": "bert"}"#),
        ("tokenizer_config.json", "[]"),
        ("tokenizer.json", "{"),
    ] {
        let setting = Setting::new(model_files());
        setting.resolve().expect("a model");
        let path = setting.snapshot().join(name);
        fs::write(&path, damaged).expect("a file");
        setting.server.requests();

        let error = resolve(ID, None, &setting.offline()).expect_err("damaged settings");
        assert!(matches!(error, HubError::Unusable { .. }), "{error}");
        let says = format!("the cached `{ID}` cannot be used: `{}`: ", path.display());
        assert!(error.to_string().starts_with(&says), "{error}");
        assert_eq!(setting.server.requests().len(), 0);

        // Without a network it is still the cache that is in the way.
        let nowhere = HubOptions { endpoint: "http://127.0.0.1:1".into(), ..setting.options() };
        let error = resolve(ID, None, &nowhere).expect_err("damaged settings");
        assert!(error.to_string().starts_with(&says), "{error}");

        let model = setting.resolve().expect("a model");
        let whole = model_files().into_iter().find(|(file, _)| file == name).expect("the file").1;
        assert_eq!(model.read(name).expect("a file").as_deref(), Some(&whole[..]));
        assert_eq!(setting.sent(), [name]);
    }
}

/// The branch has moved, and what it pointed to is damaged.
#[test]
fn an_old_snapshot_that_is_damaged_is_not_in_the_way_of_a_new_one() {
    let setting = Setting::new(with(model_files(), "idf.json", "{}"));
    setting.resolve().expect("a model");
    fs::write(setting.snapshot().join("config.json"), "not JSON").expect("a file");
    let config = padded(&bert(), "a new config");
    let files = with(with(model_files(), "idf.json", "{}"), "config.json", &config);
    setting.server.publish(&"f".repeat(40), files);
    for parts in [Parts::QuerySide, Parts::Whole] {
        let pulled = hub::pull(ID, None, parts, &setting.options()).expect("a model");
        assert_eq!(pulled.files.read("config.json").expect("a file").as_deref(), Some(config.as_bytes()));
        assert_eq!(pulled.commit, Some("f".repeat(40)));
    }
}

#[test]
fn pull_follows_the_branch_and_keeps_what_did_not_change() {
    let setting = Setting::new(model_files());
    setting.resolve().expect("a model");
    let commit = "f".repeat(40);
    let mut files = model_files();
    let config = padded(&bert(), "a new config");
    files[2].1 = config.clone().into_bytes();
    setting.server.publish(&commit, files);
    setting.server.requests();

    let old = setting.resolve().expect("the cached model");
    assert_eq!(old.path(), Some(setting.snapshot().as_path()));
    let pulled = pull(ID, None, &setting.options()).expect("a model");
    assert_eq!(pulled.commit.as_deref(), Some(commit.as_str()));
    assert_eq!(setting.sent(), ["config.json"]);
    assert_eq!(pulled.downloaded[0].bytes, config.len() as u64);
    assert_eq!(pulled.files.read("config.json").expect("a file").as_deref(), Some(config.as_bytes()));
    assert_eq!(
        pulled.files.read("model.safetensors").expect("a file").as_deref(),
        Some(&model_files()[0].1[..])
    );
    assert_eq!(content(&setting.repo(), "refs/main"), commit);
    assert_eq!(old.read("config.json").expect("a file").as_deref(), Some(&model_files()[2].1[..]));
}

#[test]
fn two_at_once_download_once() {
    let setting = Setting::new(model_files());
    setting.server.set_fault(Fault::Slow("model.safetensors", Duration::from_millis(300)));
    std::thread::scope(|scope| {
        let both = [scope.spawn(|| setting.resolve()), scope.spawn(|| setting.resolve())];
        for one in both {
            one.join().expect("no panic").expect("a model");
        }
    });
    assert_eq!(
        setting.sent(),
        ["config.json", "tokenizer_config.json", "tokenizer.json", "model.safetensors"]
    );
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let setting = Setting::new(model_files());
    fs::write(setting.folder.path().join("hub"), "a file where the cache should be").expect("a file");
    let error = setting.error();
    assert!(matches!(error, HubError::Cache { .. }), "{error}");
    assert!(error.to_string().contains("hub"), "{error}");
}
