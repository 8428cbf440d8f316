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
    /// Redirects every request whose path contains this to itself, a hundred times.
    RedirectLoop(&'static str),
    /// Redirects to this server instead of its own second address; and from that address to a third.
    Elsewhere(String),
    /// The repository was called so before: redirects to its new name, as the hub does.
    Renamed(&'static str),
    /// Sends the file again and again, [`FLOOD`] bytes in all, and ends it so.
    Flood(&'static str, End),
    /// Sends half of what it announces at each path with this end, then nothing for so long.
    Stall(&'static str, Duration),
    /// Sends the file byte by byte, with so long a pause after each.
    Drip(&'static str, Duration),
    /// Sends the whole file whatever is asked for.
    NoRanges(&'static str),
    /// Describes the repository in so many bytes.
    LongInfo(usize),
    /// Lets the file wait.
    Slow(&'static str, Duration),
    /// Answers with something that is no hub's answer.
    NotAHub,
}

/// How many bytes [`Fault::Flood`] sends: more than the buffers of any connection hold.
pub const FLOOD: usize = 64 << 20;

/// What tells the client where a body ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// The header `Content-Length`.
    Length,
    /// A chunk without bytes.
    Chunk,
    /// The end of the connection.
    Close,
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
    num_redirects: usize,
    num_bytes_sent: usize,
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
            num_redirects: 0,
            num_bytes_sent: 0,
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

    /// How many bytes of bodies the clients have taken so far.
    pub fn num_bytes_sent(&self) -> usize {
        lock(&self.state).num_bytes_sent
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
        state.requests.push(request.clone());
        let fault = state.fault.clone();
        if let Fault::StatusOnce(_) = fault {
            state.fault = Fault::None;
        }
        let wait = match fault {
            Fault::Slow(file, time) if request.is_for(file) => Some(time),
            _ => None,
        };
        (state.reply(&request, &fault, address), wait)
    };
    if let Some(time) = wait {
        std::thread::sleep(time);
    }
    reply.send(stream, |sent| lock(state).num_bytes_sent += sent)
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

    /// Whether it asks for what a path with this end names.
    fn is_for(&self, end: &str) -> bool {
        !self.is_probe() && self.path.split('?').next().is_some_and(|path| path.ends_with(end))
    }
}

struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    end: End,
    /// How many bytes of the body are sent before the connection is closed.
    sent: usize,
    /// How long the connection stays open after that.
    stall: Duration,
    /// How long the pause is after each byte.
    pause: Option<Duration>,
}

impl Reply {
    fn new(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        let (body, headers) = (body.into(), Vec::new());
        let sent = body.len();
        Reply { status, headers, body, end: End::Length, sent, stall: Duration::ZERO, pause: None }
    }

    fn with(mut self, header: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((header, value.into()));
        self
    }

    /// Sends it piece by piece, and reports the size of each.
    fn send(self, mut stream: TcpStream, mut report: impl FnMut(usize)) -> std::io::Result<()> {
        let mut head = format!("HTTP/1.1 {} Reply\r\nConnection: close\r\n", self.status);
        head += &match self.end {
            End::Length => format!("Content-Length: {}\r\n", self.body.len()),
            End::Chunk => "Transfer-Encoding: chunked\r\n".into(),
            End::Close => String::new(),
        };
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all((head + "\r\n").as_bytes())?;
        for piece in self.body[..self.sent].chunks(if self.pause.is_some() { 1 } else { 1 << 16 }) {
            if self.end == End::Chunk {
                stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes())?;
            }
            stream.write_all(piece)?;
            if self.end == End::Chunk {
                stream.write_all(b"\r\n")?;
            }
            report(piece.len());
            std::thread::sleep(self.pause.unwrap_or_default());
        }
        if self.end == End::Chunk {
            stream.write_all(b"0\r\n\r\n")?;
        }
        stream.flush()?;
        std::thread::sleep(self.stall);
        Ok(())
    }
}

impl State {
    fn reply(&mut self, request: &Request, fault: &Fault, address: SocketAddr) -> Reply {
        let mut reply = self.reply_without_pause(request, fault, address);
        match fault {
            Fault::Stall(end, time) if request.is_for(end) => {
                (reply.sent, reply.stall) = (reply.sent / 2, *time);
            }
            Fault::Drip(file, time) if request.is_for(file) => {
                reply.pause = Some(*time);
            }
            _ => {}
        }
        reply
    }

    fn reply_without_pause(&mut self, request: &Request, fault: &Fault, address: SocketAddr) -> Reply {
        match fault {
            Fault::RedirectLoop(part) if request.path.contains(part) && self.num_redirects < 100 => {
                self.num_redirects += 1;
                return Reply::new(302, "").with("Location", request.path.as_str());
            }
            Fault::Renamed(old) if request.path.contains(old) => {
                return Reply::new(307, "").with("Location", request.path.replace(old, &self.repo_id));
            }
            Fault::LongInfo(length) if request.path.starts_with("/api/") => {
                let names = "{\"rfilename\": \"x\"},".repeat(length / 19);
                let info = format!("{{\"sha\": \"{}\", \"siblings\": [{names}]}}", self.commit);
                return Reply::new(200, info.replace(",]", "]"));
            }
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
                Fault::Elsewhere(other) => self.redirect(file, body, other),
                _ if is_large(file) => self.redirect(file, body, &format!("http://{address}")),
                _ => content(request, fault, file, body),
            }
            .with("ETag", format!("\"{}\"", &sha256(body)[..40]))
            .with("X-Repo-Commit", self.commit.as_str());
        }
        let second = self.file(&request.path, "/cdn/");
        match (second.or(self.file(&request.path, "/third/")), fault) {
            (Some((file, _)), Fault::Elsewhere(other)) if second.is_some() => {
                Reply::new(302, "").with("Location", format!("{other}/third/{file}?signature=hunter2"))
            }
            (Some((file, body)), _) => content(request, fault, file, body),
            _ => Reply::new(404, "no such thing"),
        }
    }

    fn file(&self, path: &str, prefix: &str) -> Option<(&str, &[u8])> {
        let name = path.strip_prefix(prefix)?.split('?').next()?;
        self.files.iter().find(|(file, _)| file == name).map(|(file, body)| (file.as_str(), body.as_slice()))
    }

    fn info(&self) -> Reply {
        let siblings: Vec<_> =
            self.files.iter().map(|(name, _)| serde_json::json!({ "rfilename": name })).collect();
        let info = serde_json::json!({ "siblings": siblings, "sha": self.commit });
        Reply::new(200, info.to_string()).with("Content-Type", "application/json")
    }

    /// Says the size only of some files, so that clients have to ask for the others'.
    fn redirect(&self, file: &str, body: &[u8], other: &str) -> Reply {
        let reply = Reply::new(302, "")
            .with("Location", format!("{other}/cdn/{file}?signature=hunter2"))
            .with("X-Linked-Etag", format!("\"{}\"", sha256(body)));
        if file.ends_with(".bin") {
            reply.with("X-Linked-Size", body.len().to_string())
        } else {
            reply
        }
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
        Fault::Flood(wrong, end) if *wrong == file && !request.is_probe() => {
            let flood: Vec<u8> = body.iter().copied().cycle().take(FLOOD).collect();
            return Reply { end: *end, ..Reply::new(200, flood) };
        }
        Fault::NoRanges(wrong) if *wrong == file => return Reply::new(200, body),
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
