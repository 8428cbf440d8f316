//! Requests to the hub and to where it redirects: with which secrets, how many times, and for how long.
//!
//! ureq follows no redirects here, for two reasons: the hub describes a file in
//! the headers of its own answer, which often is a redirect; and ureq keeps the
//! `Authorization` header when only the port changes.

use std::io;
use std::time::Duration;

use ureq::http::{header, HeaderMap, Response, Uri};
use ureq::{Agent, Body};

use super::endpoint::{joined, Endpoint, Origin};

/// How many redirects of one request are followed, as in ureq. The hub needs two.
const MAX_REDIRECTS: usize = 10;

/// From a host's name to its address.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(15);

/// From an address to a connection that is encrypted.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// From the request to the end of the answer's headers.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);

/// How often a request is tried again after a failure that may pass.
pub(super) const RETRIES: u32 = 2;

/// Requests to one hub, as one user.
pub(super) struct Client {
    agent: Agent,
    pub(super) endpoint: Endpoint,
    /// How long no byte may arrive.
    pub(super) stall_timeout: Duration,
}

/// What is asked for.
#[derive(Clone, Default)]
pub(super) struct Request {
    /// Below the hub's address, with a `/` first.
    pub(super) path: String,
    /// The header `Range`.
    pub(super) range: Option<String>,
    /// How long the body may take, where that does not depend on its size.
    pub(super) body_timeout: Option<Duration>,
}

/// Why there is no answer, or none that can be used.
#[derive(Debug)]
pub(super) enum RequestError {
    /// No answer came.
    Network { origin: Origin, source: io::Error, may_pass: bool },
    /// A status other than success.
    Status { origin: Origin, is_hub: bool, status: u16 },
    /// The answer makes no sense.
    Answer { origin: Origin, reason: String },
}

impl RequestError {
    /// Whether the same request may succeed a little later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            RequestError::Network { may_pass, .. } => *may_pass,
            RequestError::Status { status, .. } => *status >= 500,
            RequestError::Answer { .. } => false,
        }
    }
}

impl Client {
    pub(super) fn new(endpoint: Endpoint, stall_timeout: Duration) -> Self {
        let config = Agent::config_builder()
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            // The sizes that the hub states are those of the files themselves.
            .accept_encoding("identity")
            .timeout_resolve(Some(RESOLVE_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_send_request(Some(RESPONSE_TIMEOUT))
            .timeout_recv_response(Some(RESPONSE_TIMEOUT))
            .timeout_per_read(Some(stall_timeout))
            .build();
        Client { agent: config.into(), endpoint, stall_timeout }
    }

    /// The successful answer to a GET, after all redirects.
    pub(super) fn get(&self, request: &Request) -> Result<Response<Body>, RequestError> {
        let mut route = self.route(request)?;
        loop {
            let response = route.send(request)?;
            if !route.follow(response.headers(), response.status().as_u16())? {
                route.check_status(&response)?;
                return Ok(response);
            }
        }
    }

    /// Starts at the hub; nothing is sent yet.
    pub(super) fn route(&self, request: &Request) -> Result<Route<'_>, RequestError> {
        let origin = self.endpoint.origin.clone();
        match format!("{}{}", self.endpoint.address, request.path).parse() {
            Ok(uri) => Ok(Route { client: self, uri, origin, is_at_hub: true, num_redirects: 0 }),
            Err(_) => Err(RequestError::Answer { origin, reason: "its files have no address".into() }),
        }
    }
}

/// The way of one request through redirects.
pub(super) struct Route<'a> {
    client: &'a Client,
    uri: Uri,
    /// The server of `uri`.
    pub(super) origin: Origin,
    /// Whether no redirect has led to another server yet. It stays false if another server redirects back to the hub.
    pub(super) is_at_hub: bool,
    num_redirects: usize,
}

impl Route<'_> {
    /// Sends the request to the address that the redirects have led to so far.
    pub(super) fn send(&self, request: &Request) -> Result<Response<Body>, RequestError> {
        let mut builder = self.client.agent.get(self.uri.clone());
        if let Some(range) = &request.range {
            builder = builder.header(header::RANGE, range);
        }
        if let Some(authorization) = self.client.endpoint.authorization.as_ref().filter(|_| self.is_at_hub) {
            builder = builder.header(header::AUTHORIZATION, authorization);
        }
        let mut config = builder.config().timeout_recv_body(request.body_timeout);
        if self.origin.is_loopback() {
            // To a proxy, `localhost` would be the proxy's own machine.
            config = config.proxy(None);
        }
        config.build().call().map_err(|error| self.network_error(error))
    }

    /// Turns to where the answer redirects.
    ///
    /// Returns whether it redirects at all. From the first other server on,
    /// the hub's secrets stay behind.
    pub(super) fn follow(&mut self, headers: &HeaderMap, status: u16) -> Result<bool, RequestError> {
        if !matches!(status, 301 | 302 | 303 | 307 | 308) {
            return Ok(false);
        }
        let location = headers.get(header::LOCATION).and_then(|location| location.to_str().ok());
        let uri = location.and_then(|location| joined(&self.uri, location));
        // Without the address itself: it may be signed, and its signature is a secret.
        let Some((uri, origin)) = uri.and_then(|uri| Origin::of(&uri).map(|origin| (uri, origin))) else {
            return Err(self.odd_answer("it redirects to nowhere"));
        };
        if self.origin.is_encrypted && !origin.is_encrypted {
            return Err(self.odd_answer(format!("it redirects to `{origin}`, which is not encrypted")));
        }
        self.num_redirects += 1;
        if self.num_redirects > MAX_REDIRECTS {
            return Err(self.odd_answer(format!("it redirects more than {MAX_REDIRECTS} times")));
        }
        self.is_at_hub &= origin == self.client.endpoint.origin;
        (self.uri, self.origin) = (uri, origin);
        Ok(true)
    }

    /// Refuses what is no success.
    pub(super) fn check_status(&self, response: &Response<Body>) -> Result<(), RequestError> {
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let (origin, is_hub) = (self.origin.clone(), self.is_at_hub);
        Err(RequestError::Status { origin, is_hub, status: status.as_u16() })
    }

    pub(super) fn odd_answer(&self, reason: impl Into<String>) -> RequestError {
        RequestError::Answer { origin: self.origin.clone(), reason: reason.into() }
    }

    fn network_error(&self, error: ureq::Error) -> RequestError {
        match error {
            ureq::Error::LargeResponseHeader(..) | ureq::Error::Protocol(_) => {
                self.odd_answer(error.to_string())
            }
            // Its text holds the whole address.
            ureq::Error::BadUri(_) => self.odd_answer("its files have no address"),
            error => {
                let source = io_error(error);
                let may_pass = is_broken_connection(&source);
                RequestError::Network { origin: self.origin.clone(), source, may_pass }
            }
        }
    }
}

/// An error of ureq in words for the user. None of them holds an address.
pub(super) fn io_error(error: ureq::Error) -> io::Error {
    match error {
        ureq::Error::Io(error) => error,
        ureq::Error::Timeout(phase) => {
            let reason = match phase {
                ureq::Timeout::Resolve => "its address was not found in time",
                ureq::Timeout::Connect => "no connection was made in time",
                _ => "no answer came in time",
            };
            io::Error::new(io::ErrorKind::TimedOut, reason)
        }
        error => io::Error::other(error.to_string()),
    }
}

/// Whether an established connection broke. If nothing listens or answers, or the host is unknown, asking again at once
/// will not help.
pub(super) fn is_broken_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
}

/// Tries again after failures that may pass.
pub(super) fn retried<T>(call: impl Fn() -> Result<T, RequestError>) -> Result<T, RequestError> {
    let mut retries = 0;
    loop {
        match call() {
            Err(error) if retries < RETRIES && error.may_pass() => {
                retries += 1;
                pause(retries);
            }
            result => return result,
        }
    }
}

/// Waits before the try of this number, longer each time.
pub(super) fn pause(retries: u32) {
    std::thread::sleep(Duration::from_millis(300) * retries);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(endpoint: &str) -> Client {
        Client::new(Endpoint::new(endpoint, Some("hf_x")).expect("an endpoint"), Duration::from_secs(1))
    }

    fn follow(route: &mut Route<'_>, location: &str) -> Result<bool, RequestError> {
        let location = location.parse().expect("a header's value");
        route.follow(&HeaderMap::from_iter([(header::LOCATION, location)]), 302)
    }

    #[test]
    fn only_the_same_server_is_the_hub() {
        let client = client("https://hub/mirror");
        let request = Request { path: "/org/name".into(), ..Request::default() };
        for location in ["/x", "x", "?x", "https://hub/x", "https://HUB:443/x", "//hub/x"] {
            let mut route = client.route(&request).expect("a route");
            assert!(
                follow(&mut route, location).is_ok_and(|redirects| redirects) && route.is_at_hub,
                "{location}"
            );
        }
        for location in ["https://hub:444/x", "https://hub.cdn/x", "https://hub@cdn/x", "//cdn/x"] {
            let mut route = client.route(&request).expect("a route");
            assert!(
                follow(&mut route, location).is_ok_and(|redirects| redirects) && !route.is_at_hub,
                "{location}"
            );
            // Another server cannot give back what it was not given.
            follow(&mut route, "https://hub/mirror/x").expect("the hub again");
            assert!(!route.is_at_hub);
        }
    }

    #[test]
    fn encryption_is_not_given_up() {
        let (safe, open) = (client("https://hub"), client("http://localhost"));
        let request = Request { path: "/x".into(), ..Request::default() };
        let mut route = safe.route(&request).expect("a route");
        assert!(follow(&mut route, "https://cdn/x").is_ok());
        let error = follow(&mut route, "http://cdn/x?signature=hunter2").expect_err("a downgrade");
        let text = format!("{error:?}");
        assert!(text.contains("not encrypted") && !text.contains("hunter2"), "{text}");
        // Towards encryption it is another server.
        let mut route = open.route(&request).expect("a route");
        assert!(follow(&mut route, "https://localhost/x").is_ok() && !route.is_at_hub);
    }
}
