//! What a hub, a mirror or whoever answers in their place must not get, and cannot make the client do.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use neural_sparse::hub::{self, Credentials, HubError, HubOptions, Parts, Progress, Pulled};

use crate::hub::{Setting, ID};
use crate::hub_contents::{files, model_files};
use crate::hub_server::{sha256, End, Fault, HubServer, Request, COMMIT, FLOOD};
use crate::program::neural_sparse;

fn pull(options: &HubOptions) -> Result<Pulled, HubError> {
    hub::pull(ID, None, Parts::Whole, options)
}

fn with_token(setting: &Setting) -> HubOptions {
    HubOptions { token: Some("hf_secret".into()), ..setting.options() }
}

/// Everything that an error can say.
fn all_of(error: &HubError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text += &format!(" {cause} {cause:?}");
        source = cause.source();
    }
    text
}

#[test]
fn the_token_goes_to_no_other_server() {
    let setting = Setting::new(model_files());
    // Another port is another server; this one redirects to where the first one sends its files from.
    let other = HubServer::start("test-org/elsewhere", model_files());
    setting.server.set_fault(Fault::Elsewhere(other.endpoint()));
    for leads_back in [false, true] {
        other.set_fault(if leads_back { Fault::Elsewhere(setting.server.endpoint()) } else { Fault::None });
        fs::remove_dir_all(setting.repo()).ok();
        pull(&with_token(&setting)).expect("a model");

        let elsewhere = other.requests();
        let (probes, bodies): (Vec<&Request>, Vec<&Request>) =
            elsewhere.iter().partition(|request| request.is_probe());
        assert!(probes.len() == 4 && bodies.len() == 4, "{elsewhere:?}");
        assert!(elsewhere.iter().all(|request| request.authorization.is_none()), "{elsewhere:?}");

        let (back, to_the_hub): (Vec<Request>, Vec<Request>) =
            setting.server.requests().into_iter().partition(|request| request.path.starts_with("/third/"));
        assert_eq!(back.len(), if leads_back { 8 } else { 0 });
        assert!(back.iter().all(|request| request.authorization.is_none()), "{back:?}");
        let has_token = |request: &Request| request.authorization.as_deref() == Some("Bearer hf_secret");
        assert!(to_the_hub.iter().all(has_token), "{to_the_hub:?}");
    }
}

#[test]
fn the_token_goes_along_where_a_repository_was_renamed() {
    let setting = Setting {
        server: HubServer::start("test-org/new-name", model_files()),
        folder: tempfile::tempdir().expect("a temporary folder"),
    };
    setting.server.set_fault(Fault::Renamed(ID));
    pull(&with_token(&setting)).expect("a model");
    let requests = setting.server.requests();
    let of_the_repository: Vec<&Request> =
        requests.iter().filter(|request| !request.path.starts_with("/cdn/")).collect();
    assert!(of_the_repository.iter().any(|request| request.path.contains("/test-org/new-name/resolve/")));
    for request in of_the_repository {
        assert_eq!(request.authorization.as_deref(), Some("Bearer hf_secret"), "{request:?}");
    }
}

#[test]
fn what_the_hub_says_of_a_file_is_not_asked_for_elsewhere() {
    let setting = Setting::new(files(&["config.json", "pytorch_model.bin", "vocab.txt"]));
    pull(&setting.options()).expect("a model");
    let requests = setting.server.requests();
    let elsewhere: Vec<&Request> =
        requests.iter().filter(|request| request.path.starts_with("/cdn/")).collect();
    assert_eq!(elsewhere.len(), 1, "{elsewhere:?}");
    assert!(!elsewhere[0].is_probe());
}

#[test]
fn redirects_are_counted() {
    for part in ["/api/", "/resolve/", "/cdn/"] {
        let setting = Setting::new(model_files());
        setting.server.set_fault(Fault::RedirectLoop(part));
        let error = setting.error();
        assert!(matches!(error, HubError::Answer { .. }), "{part}: {error}");
        assert!(error.to_string().contains("redirects more than 10 times"), "{part}: {error}");
        let looped = setting.server.requests().iter().filter(|request| request.path.contains(part)).count();
        assert!(looped <= 20, "{part}: {looped} requests");
        assert!(!all_of(&error).contains("hunter2"), "{}", all_of(&error));
    }
}

#[test]
fn a_redirect_to_no_server_is_refused_without_its_signature() {
    for other in ["ftp://hunter2", "file:///hunter2", "https://", "http://hunter2 x", "javascript:hunter2"] {
        let setting = Setting::new(model_files());
        setting.server.set_fault(Fault::Elsewhere(other.into()));
        let error = setting.error();
        assert!(matches!(error, HubError::Answer { .. }), "{other}: {error}");
        assert!(!all_of(&error).contains("hunter2"), "{}", all_of(&error));
    }
}

#[test]
fn a_server_that_the_hub_redirects_to_is_named_without_its_signature() {
    let setting = Setting::new(model_files());
    let other = HubServer::start("test-org/elsewhere", model_files());
    setting.server.set_fault(Fault::Elsewhere(other.endpoint()));
    // Such as a signature that has expired: the hub itself refuses nothing.
    for status in [403, 500] {
        other.set_fault(Fault::Status(status));
        let error = pull(&with_token(&setting)).expect_err("a status");
        assert!(matches!(&error, HubError::Status { status: got, .. } if *got == status), "{error}");
        assert!(error.to_string().contains(&other.endpoint()), "{error}");
        assert!(!all_of(&error).contains("hunter2"), "{}", all_of(&error));
    }
    let endpoint = other.endpoint();
    drop(other);
    let error = setting.error();
    assert!(matches!(error, HubError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&endpoint), "{error}");
    assert!(!all_of(&error).contains("hunter2"), "{}", all_of(&error));
}

#[test]
fn a_body_is_cut_off_at_the_announced_size() {
    for (file, end) in [
        ("model.safetensors", End::Length),
        ("model.safetensors", End::Chunk),
        ("model.safetensors", End::Close),
        ("config.json", End::Close),
    ] {
        let setting = Setting::new(model_files());
        setting.server.set_fault(Fault::Flood(file, end));
        let error = setting.error();
        let body = model_files().into_iter().find(|(name, _)| name == file).expect("the file").1;
        assert!(
            matches!(&error, HubError::TooLong { expected, .. } if *expected == body.len() as u64),
            "{file} {end:?}: {error}"
        );
        assert!(setting.server.num_bytes_sent() < FLOOD / 2, "{end:?}: {}", setting.server.num_bytes_sent());
        assert!(!setting.snapshot().join(file).exists());
        let etag = sha256(&body);
        assert!(setting.blobs().iter().all(|blob| !etag.starts_with(&blob[..40])), "{:?}", setting.blobs());

        setting.server.set_fault(Fault::None);
        setting.resolve().expect("a model");
    }
}

#[test]
fn a_stalled_body_times_out() {
    const LONG: Duration = Duration::from_secs(30);
    for fault in [
        Fault::Stall("model.safetensors", LONG),
        Fault::Stall("config.json", LONG),
        // Byte by byte is no better.
        Fault::Drip("model.safetensors", Duration::from_millis(60)),
    ] {
        let setting = Setting::new(model_files());
        let options = HubOptions { stall_timeout: Duration::from_millis(300), ..setting.options() };
        setting.server.set_fault(fault);
        let start = Instant::now();
        let error = pull(&options).expect_err("a stall");
        assert!(matches!(&error, HubError::CutShort { got, expected, .. } if got < expected), "{error}");
        assert!(all_of(&error).contains("stalled for 0.3 s"), "{}", all_of(&error));
        assert!(start.elapsed() < LONG / 2, "{:?}", start.elapsed());
        // What arrived is of use.
        setting.server.set_fault(Fault::None);
        pull(&setting.options()).expect("a model");
    }
    // What is no file has no part to keep: the end of this path is that of the description's.
    for fault in [Fault::Stall("/revision/main", LONG), Fault::Slow("/revision/main", LONG)] {
        let setting = Setting::new(model_files());
        setting.server.set_fault(fault);
        let start = Instant::now();
        let options = HubOptions { stall_timeout: Duration::from_millis(300), ..setting.options() };
        let error = pull(&options).expect_err("a stall");
        assert!(matches!(error, HubError::Unreachable { .. }), "{error}");
        assert!(start.elapsed() < LONG / 2, "{:?}", start.elapsed());
    }
}

#[test]
fn a_stalled_download_is_resumed() {
    let setting = Setting::new(model_files());
    setting.server.set_fault(Fault::Stall("model.safetensors", Duration::from_secs(30)));
    let options = HubOptions { stall_timeout: Duration::from_millis(300), ..setting.options() };
    let Err(HubError::CutShort { got, .. }) = pull(&options) else { panic!("no stall") };
    assert!(got > 0);
    setting.server.set_fault(Fault::None);
    setting.server.requests();
    pull(&setting.options()).expect("a model");
    let range = format!("bytes={got}-");
    let requests = setting.server.requests();
    assert!(requests.iter().any(|request| request.range.as_deref() == Some(&range)), "{requests:?}");
}

#[test]
fn a_server_that_resumes_nothing_is_asked_once() {
    let setting = Setting::new(model_files());
    let body = &model_files()[0].1;
    let blobs = setting.repo().join("blobs");
    fs::create_dir_all(&blobs).expect("a folder");
    fs::write(blobs.join(sha256(body)).with_extension("part"), &body[..100]).expect("a part");
    setting.server.set_fault(Fault::NoRanges("model.safetensors"));
    let model = setting.resolve().expect("a model");
    assert_eq!(model.read("model.safetensors").expect("a file").as_deref(), Some(&body[..]));
    assert_eq!(setting.sent().iter().filter(|file| *file == "model.safetensors").count(), 1);
}

#[test]
fn a_part_without_a_hash_to_check_it_is_not_resumed() {
    let setting = Setting::new(model_files());
    let body = &model_files()[2].1;
    let blobs = setting.repo().join("blobs");
    fs::create_dir_all(&blobs).expect("a folder");
    fs::write(blobs.join(&sha256(body)[..40]).with_extension("part"), "something else").expect("a part");
    let model = setting.resolve().expect("a model");
    assert_eq!(model.read("config.json").expect("a file").as_deref(), Some(&body[..]));
}

#[test]
fn an_empty_file_is_downloaded() {
    let mut files = model_files();
    files.push(("query_token_weights.txt".into(), Vec::new()));
    let setting = Setting::new(files);
    let model = setting.resolve().expect("a model");
    assert_eq!(model.read("query_token_weights.txt").expect("a file").as_deref(), Some(&b""[..]));
    assert_eq!(pull(&setting.options()).expect("a model").present.len(), 5);
}

#[test]
fn the_description_of_a_repository_is_bounded() {
    let setting = Setting::new(model_files());
    setting.server.set_fault(Fault::LongInfo(40 << 20));
    let error = setting.error();
    assert!(matches!(error, HubError::Answer { .. }), "{error}");
    assert!(error.to_string().contains("longer than 33554432 bytes"), "{error}");
}

#[test]
fn what_a_server_writes_is_clipped_in_messages() {
    let setting = Setting::new(model_files());
    setting.server.publish(&format!("\u{1b}[31m{}", "evil".repeat(1000)), model_files());
    let error = setting.error();
    assert!(matches!(error, HubError::Answer { .. }), "{error}");
    let text = error.to_string();
    assert!(!text.contains('\u{1b}') && text.len() < 1000, "{text}");
}

#[test]
fn a_password_in_the_address_is_sent_and_never_shown() {
    let setting = Setting::new(model_files());
    let endpoint = setting.server.endpoint().replace("http://", "http://user:hunter%32@");
    let options = HubOptions { endpoint, ..with_token(&setting) };
    assert!(!format!("{options:?}").contains("hunter"), "{options:?}");
    pull(&options).expect("a model");
    let requests = setting.server.requests();
    let to_the_hub = requests.iter().filter(|request| !request.path.starts_with("/cdn/"));
    for request in to_the_hub {
        // By `printf 'user:hunter2' | base64`. The token is not for this server.
        assert_eq!(request.authorization.as_deref(), Some("Basic dXNlcjpodW50ZXIy"), "{request:?}");
    }

    fs::remove_dir_all(setting.repo()).expect("the cached model");
    for fault in [
        Fault::Status(404),
        Fault::Status(401),
        Fault::Status(500),
        Fault::NotAHub,
        Fault::RedirectNowhere,
        Fault::FileStatus(403),
        Fault::CutShort("model.safetensors"),
    ] {
        setting.server.set_fault(fault);
        let error = pull(&options).expect_err("a fault");
        assert!(!all_of(&error).contains("hunter"), "{}", all_of(&error));
        if let HubError::Refused { credentials, .. } = error {
            assert_eq!(credentials, Credentials::Password);
        }
    }
    let unreachable = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://user:hunter2@{}", listener.local_addr().expect("an address"))
    };
    for endpoint in
        [unreachable.as_str(), "ftp://user:hunter2@host", "https://user:hunter2@ho st", "user:hunter2@host"]
    {
        let error = pull(&HubOptions { endpoint: endpoint.into(), ..setting.options() }).expect_err(endpoint);
        assert!(!all_of(&error).contains("hunter"), "{}", all_of(&error));
        let finished = neural_sparse(&["model", "pull", ID])
            .env("HF_ENDPOINT", endpoint)
            .env("HF_HOME", setting.folder.path())
            .env("HF_HUB_OFFLINE", "0")
            .run();
        assert_eq!(finished.code, Some(1), "{}", finished.stderr);
        assert!(
            !finished.stderr.contains("hunter") && finished.stderr.contains("hint: "),
            "{}",
            finished.stderr
        );
    }
}

#[test]
fn progress_is_told_to_the_end_of_each_file() {
    let setting = Setting::new(model_files());
    let told: Arc<Mutex<Vec<(String, u64, u64)>>> = Arc::default();
    let log = Arc::clone(&told);
    let on_progress = move |Progress { file, received, total }: Progress<'_>| {
        log.lock().expect("no panic").push((file.to_string(), received, total));
    };
    let options = HubOptions { on_progress: Some(Arc::new(on_progress)), ..setting.options() };
    let pulled = pull(&options).expect("a model");
    let told = told.lock().expect("no panic").clone();
    for file in &pulled.downloaded {
        let of_file: Vec<_> = told.iter().filter(|(name, ..)| *name == file.name).collect();
        assert_eq!(of_file.first().map(|(_, received, _)| *received), Some(0), "{told:?}");
        assert_eq!(
            of_file.last().map(|(_, received, total)| (*received, *total)),
            Some((file.bytes, file.bytes))
        );
    }
}

#[test]
fn options_come_from_the_variables_that_python_reads() {
    let setting = Setting::new(model_files());
    let home = setting.folder.path().join("home");
    fs::create_dir_all(&home).expect("a folder");
    fs::write(home.join("token"), "hf_stored\n").expect("a token");
    let pull = |variables: &[(&str, &str)]| {
        let program =
            neural_sparse(&["model", "pull", ID, "--quiet"]).env("HF_ENDPOINT", setting.server.endpoint());
        let program = program.env("HF_HOME", &home).env("HF_HUB_OFFLINE", "");
        let finished =
            variables.iter().fold(program, |program, (name, value)| program.env(name, value)).run();
        let first = setting.server.requests().into_iter().next();
        (finished, first.and_then(|request| request.authorization))
    };
    let (finished, authorization) = pull(&[]);
    assert_eq!((finished.code, authorization.as_deref()), (Some(0), Some("Bearer hf_stored")));
    assert!(home.join(format!("hub/models--test-org--test-model/snapshots/{COMMIT}/config.json")).exists());
    for (variables, expected) in [
        (&[("HF_HUB_DISABLE_IMPLICIT_TOKEN", "yes")][..], None),
        (&[("HF_TOKEN", "hf_a"), ("HUGGING_FACE_HUB_TOKEN", "hf_b")], Some("Bearer hf_a")),
        (&[("HUGGING_FACE_HUB_TOKEN", "hf_b")], Some("Bearer hf_b")),
        (&[("HF_TOKEN_PATH", "/nonexistent/token")], None),
    ] {
        assert_eq!(pull(variables).1.as_deref(), expected, "{variables:?}");
    }
    let cache = setting.folder.path().join("elsewhere");
    assert_eq!(pull(&[("HF_HUB_CACHE", &cache.to_string_lossy())]).0.code, Some(0));
    assert!(cache.join("models--test-org--test-model").exists());
    for timeout in ["soon", "0", "-1", "1.5"] {
        let (finished, authorization) = pull(&[("HF_HUB_DOWNLOAD_TIMEOUT", timeout)]);
        assert_eq!((finished.code, authorization), (Some(1), None));
        assert!(
            finished.stderr.contains("`HF_HUB_DOWNLOAD_TIMEOUT` is not a whole number"),
            "{}",
            finished.stderr
        );
    }
    for offline in [[("HF_HUB_OFFLINE", "1")], [("TRANSFORMERS_OFFLINE", "true")]] {
        let (finished, _) = pull(&offline);
        assert!(finished.stderr.contains("cannot be pulled offline"), "{}", finished.stderr);
    }
}
