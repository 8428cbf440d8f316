//! A small Hugging Face hub on the loopback interface, which can be told to fail.
//!
//! As on the real hub, small files have git's blob id as etag and are sent at
//! once; checkpoints have their SHA-256 as etag and are sent by another
//! address that the first one redirects to.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sha2::{Digest, Sha256};

/// The commit that every revision is, until [`HubServer::publish`].
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the server does wrong. Those that name a file do it to that file only.
#[derive(Clone)]
pub enum Fault {
    /// Nothing.
    None,
    /// Answers everything with a status.
    Status(u16),
    /// Answers the next request with a status, and the others well.
    StatusOnce(u16),
    /// Answers requests for files with a status, but tells which there are.
    FileStatus(u16),
    /// Sends half of what it announces, then closes the connection.
    CutShort(&'static str),
    /// States a size that is larger than what it sends.
    WrongSize(&'static str),
    /// Sends other bytes of the same number.
    WrongHash(&'static str),
    /// Redirects to no place.
    RedirectNowhere,
    /// Lets the file wait.
    Slow(&'static str, Duration),
    /// Answers with something that is no hub's answer.
    NotAHub,
}

/// A request that the server got.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub authorization: Option<String>,
    pub range: Option<String>,
}

struct State {
    repo_id: String,
    commit: String,
    files: Vec<(String, Vec<u8>)>,
    fault: Fault,
    requests: Vec<Request>,
    stopped: bool,
}

/// A hub with one repository, until it is dropped.
pub struct HubServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl HubServer {
    pub fn start(repo_id: &str, files: Vec<(String, Vec<u8>)>) -> HubServer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State {
            repo_id: repo_id.into(),
            commit: COMMIT.into(),
            files,
            fault: Fault::None,
            requests: Vec::new(),
            stopped: false,
        }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if lock(&shared).stopped {
                    return;
                }
                let (Ok(stream), shared) = (stream, Arc::clone(&shared)) else { continue };
                // A client that hangs up early is none of the server's business.
                std::thread::spawn(move || answer(stream, address, &shared).ok());
            }
        });
        HubServer { address, state }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set_fault(&self, fault: Fault) {
        lock(&self.state).fault = fault;
    }

    /// Replaces the repository's content.
    pub fn publish(&self, commit: &str, files: Vec<(String, Vec<u8>)>) {
        let mut state = lock(&self.state);
        state.commit = commit.into();
        state.files = files;
    }

    /// Every request so far, and forgets them.
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut lock(&self.state).requests)
    }
}

impl Drop for HubServer {
    fn drop(&mut self) {
        lock(&self.state).stopped = true;
        // Wakes the thread, which then sees that it is to end.
        TcpStream::connect(self.address).ok();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn answer(stream: TcpStream, address: SocketAddr, state: &Mutex<State>) -> std::io::Result<()> {
    let request = read_request(&stream)?;
    let (reply, wait) = {
        let mut state = lock(state);
        let path = request.path.clone();
        state.requests.push(request.clone());
        let fault = state.fault.clone();
        if let Fault::StatusOnce(_) = fault {
            state.fault = Fault::None;
        }
        let wait = match fault {
            Fault::Slow(file, time) if path.ends_with(file) && !request.is_probe() => Some(time),
            _ => None,
        };
        (state.reply(&request, &fault, address), wait)
    };
    if let Some(time) = wait {
        std::thread::sleep(time);
    }
    reply.send(stream)
}

fn read_request(stream: &TcpStream) -> std::io::Result<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let mut words = first.split(' ').map(String::from);
    let mut request = Request {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        authorization: None,
        range: None,
    };
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => request.authorization = Some(value.trim().into()),
            "range" => request.range = Some(value.trim().into()),
            _ => {}
        }
    }
    Ok(request)
}

impl Request {
    /// Whether it asks what a file is, rather than for the file.
    pub fn is_probe(&self) -> bool {
        self.range.as_deref() == Some("bytes=0-0")
    }
}

struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// How many bytes of the body are sent before the connection is closed.
    sent: usize,
}

impl Reply {
    fn new(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        let body = body.into();
        Reply { status, headers: Vec::new(), sent: body.len(), body }
    }

    fn with(mut self, header: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((header, value.into()));
        self
    }

    fn send(self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut head = format!("HTTP/1.1 {} Reply\r\nConnection: close\r\n", self.status);
        head += &format!("Content-Length: {}\r\n", self.body.len());
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all((head + "\r\n").as_bytes())?;
        stream.write_all(&self.body[..self.sent])?;
        stream.flush()
    }
}

impl State {
    fn reply(&self, request: &Request, fault: &Fault, address: SocketAddr) -> Reply {
        match fault {
            Fault::Status(status) | Fault::StatusOnce(status) => return Reply::new(*status, "no"),
            Fault::NotAHub => return Reply::new(200, "<html>Welcome to the hotel</html>"),
            _ => {}
        }
        let info = format!("/api/models/{}/revision/", self.repo_id);
        if request.path.starts_with(&info) {
            return self.info();
        }
        if let Fault::FileStatus(status) = fault {
            return Reply::new(*status, "no");
        }
        let pinned = format!("/{}/resolve/{}/", self.repo_id, self.commit);
        if let Some((file, body)) = self.file(&request.path, &pinned) {
            return match fault {
                Fault::RedirectNowhere => Reply::new(302, "").with("ETag", "\"x\""),
                _ if is_large(file) => self.redirect(file, body, address),
                _ => content(request, fault, file, body),
            }
            .with("ETag", format!("\"{}\"", &sha256(body)[..40]))
            .with("X-Repo-Commit", self.commit.as_str());
        }
        match self.file(&request.path, "/cdn/") {
            Some((file, body)) => content(request, fault, file, body),
            None => Reply::new(404, "no such thing"),
        }
    }

    fn file(&self, path: &str, prefix: &str) -> Option<(&str, &[u8])> {
        let name = path.strip_prefix(prefix)?;
        self.files.iter().find(|(file, _)| file == name).map(|(file, body)| (file.as_str(), body.as_slice()))
    }

    fn info(&self) -> Reply {
        let siblings: Vec<_> =
            self.files.iter().map(|(name, _)| serde_json::json!({ "rfilename": name })).collect();
        let info = serde_json::json!({ "siblings": siblings, "sha": self.commit });
        Reply::new(200, info.to_string()).with("Content-Type", "application/json")
    }

    fn redirect(&self, file: &str, body: &[u8], address: SocketAddr) -> Reply {
        Reply::new(302, "")
            .with("Location", format!("http://{address}/cdn/{file}"))
            .with("X-Linked-Etag", format!("\"{}\"", sha256(body)))
    }
}

fn is_large(file: &str) -> bool {
    file.ends_with(".safetensors") || file.ends_with(".bin")
}

fn content(request: &Request, fault: &Fault, file: &str, body: &[u8]) -> Reply {
    let (mut body, mut size) = (body.to_vec(), body.len());
    match fault {
        Fault::WrongSize(wrong) if *wrong == file => size += 7,
        Fault::WrongHash(wrong) if *wrong == file => body.iter_mut().for_each(|byte| *byte ^= 1),
        _ => {}
    }
    let (first, last) = request.range(body.len());
    if first >= body.len() {
        return Reply::new(416, "").with("Content-Range", format!("bytes */{size}"));
    }
    let mut reply = Reply::new(206, &body[first..=last])
        .with("Content-Range", format!("bytes {first}-{last}/{size}"))
        .with("Accept-Ranges", "bytes");
    if matches!(fault, Fault::CutShort(wrong) if *wrong == file) && !request.is_probe() {
        reply.sent /= 2;
    }
    reply
}

impl Request {
    /// The first and the last byte that are asked for, of `length`.
    fn range(&self, length: usize) -> (usize, usize) {
        let range = self.range.as_deref().and_then(|range| range.strip_prefix("bytes="));
        let (first, last) = range.and_then(|range| range.split_once('-')).unwrap_or(("0", ""));
        let last = last.parse().unwrap_or(length).min(length.saturating_sub(1));
        (first.parse().unwrap_or(0), last)
    }
}

/// In hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
