//! Addresses: the hub's, without the secrets that go with it; and what counts as the same server.

use std::fmt;
use std::net::IpAddr;

use base64::prelude::{Engine, BASE64_STANDARD};
use ureq::http::{HeaderValue, Uri};

use super::error::{Credentials, HubError};

/// The hub's address, and the `Authorization` header that goes with it.
pub(super) struct Endpoint {
    /// Without user name, password and a `/` at the end: this is what messages show.
    pub(super) address: String,
    /// The server of `address`.
    pub(super) origin: Origin,
    /// What `authorization` proves, or why there is none.
    pub(super) credentials: Credentials,
    /// Marked as sensitive, so that ureq's logs leave it out.
    pub(super) authorization: Option<HeaderValue>,
}

impl Endpoint {
    /// * `text`: `http[s]://[user:password@]host[:port][/path]`. The user name and password are sent as basic
    ///   authorization, in place of the token: a request carries only one of the two.
    /// * `token`: sent as a bearer token, unless `text` is an `http://` address of another machine, where everyone on
    ///   the way could read it.
    pub(super) fn new(text: &str, token: Option<&str>) -> Result<Self, HubError> {
        let refused = |reason| HubError::Endpoint { endpoint: redacted(text), reason };
        let text = text.trim_end_matches('/');
        let (scheme, rest) = text.split_once("://").ok_or_else(|| refused("it names no scheme"))?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        if path.contains(['?', '#', '@']) {
            return Err(refused("`?`, `#` and `@` cannot be in it unescaped"));
        }
        // Built anew, so that no later reader of the address finds the password in it.
        let address = format!("{scheme}://{host}{path}");
        let uri: Uri = address.parse().map_err(|_| refused("it cannot be parsed"))?;
        let origin =
            Origin::of(&uri).ok_or_else(|| refused("it is not `http://` or `https://` and a host"))?;
        let (credentials, authorization) = match (user.filter(|user| !user.is_empty()), token) {
            (Some(user), _) => {
                let basic = basic(user).ok_or_else(|| refused("a `%` escapes nothing"))?;
                (Credentials::Password, Some(basic))
            }
            (None, Some(_)) if !origin.is_encrypted && !origin.is_loopback() => {
                (Credentials::WithheldToken, None)
            }
            (None, Some(token)) => (Credentials::Token, Some(format!("Bearer {token}"))),
            (None, None) => (Credentials::None, None),
        };
        let authorization = match authorization.map(HeaderValue::try_from).transpose() {
            Ok(Some(mut header)) => {
                header.set_sensitive(true);
                Some(header)
            }
            Ok(None) => None,
            Err(_) => return Err(HubError::Token),
        };
        Ok(Endpoint { address, origin, credentials, authorization })
    }
}

/// `user:password`, percent-encoded as in an address, as basic authorization.
fn basic(user: &str) -> Option<String> {
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    let pair = [decoded(name)?, vec![b':'], decoded(password)?].concat();
    Some(format!("Basic {}", BASE64_STANDARD.encode(pair)))
}

/// Undoes percent-encoding.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(part[2..].bytes());
    }
    Some(bytes)
}

/// An address without what may be secret in it, also where it cannot be parsed: everything before the last `@`, and
/// everything from the first `?` or `#` after it.
pub(super) fn redacted(address: &str) -> String {
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), address),
    };
    let (user, rest) = match rest.rsplit_once('@') {
        // The scheme could be part of it: `user:pass://word@host`.
        Some((_, rest)) if !matches!(scheme.as_str(), "" | "http://" | "https://") => {
            return format!("…@{rest}")
        }
        Some((_, rest)) => ("…@", rest),
        None => ("", rest),
    };
    let (rest, query) = match rest.split_once(['?', '#']) {
        Some((rest, _)) => (rest, "…"),
        None => (rest, ""),
    };
    format!("{scheme}{user}{rest}{query}")
}

/// A server: what `https://host:port` names. Secrets are kept from every other one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// Whether it is reached by `https://`.
    pub(super) is_encrypted: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// `None` without a host, and for schemes other than `http` and `https`.
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        let (is_encrypted, default_port) = match uri.scheme_str()? {
            "https" => (true, 443),
            "http" => (false, 80),
            _ => return None,
        };
        let host = uri.host().filter(|host| !host.is_empty())?.to_ascii_lowercase();
        Some(Origin { is_encrypted, host, port: uri.port_u16().unwrap_or(default_port) })
    }

    /// Whether it is this machine, so that what is sent to it crosses no network.
    pub(super) fn is_loopback(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, default_port) = if self.is_encrypted { ("https", 443) } else { ("http", 80) };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port != default_port {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

/// The address that a `Location` header means in an answer of `base`. Dot segments stay as they are.
pub(super) fn joined(base: &Uri, location: &str) -> Option<Uri> {
    let location = location.split('#').next().unwrap_or_default();
    let (scheme, authority) = (base.scheme_str()?, base.authority()?.as_str());
    let first = location.split(['/', '?']).next().unwrap_or_default();
    let address = if first.contains(':') {
        location.to_string()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.starts_with('?') {
        format!("{scheme}://{authority}{}{location}", base.path())
    } else {
        let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    };
    address.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authorization(text: &str, token: Option<&str>) -> Option<String> {
        let endpoint = Endpoint::new(text, token).expect(text);
        assert!(!endpoint.address.contains('@'), "{}", endpoint.address);
        endpoint.authorization.map(|header| header.to_str().expect("text").to_string())
    }

    #[test]
    fn a_password_is_basic_authorization_and_no_part_of_the_address() {
        // By `printf 'user:p@ss' | base64`, and so on.
        for (text, basic) in [
            ("https://user:p%40ss@mirror/", "Basic dXNlcjpwQHNz"),
            ("https://user:p@ss@mirror", "Basic dXNlcjpwQHNz"),
            ("http://user:p%40ss@mirror:8080/hub", "Basic dXNlcjpwQHNz"),
            ("https://user@mirror", "Basic dXNlcjo="),
            ("https://:secret@mirror", "Basic OnNlY3JldA=="),
        ] {
            assert_eq!(authorization(text, None).as_deref(), Some(basic));
            // It was written for this very address; the token was not.
            assert_eq!(authorization(text, Some("hf_x")).as_deref(), Some(basic));
        }
        assert_eq!(authorization("https://@mirror", None), None);
        let endpoint = Endpoint::new("https://user:p%40ss@mirror:1/hub//", None).expect("an endpoint");
        assert_eq!(endpoint.address, "https://mirror:1/hub");
    }

    #[test]
    fn a_token_crosses_no_network_in_the_clear() {
        for text in ["https://hub", "http://localhost:8080", "http://127.0.0.1:1/hub", "http://[::1]:8080"] {
            assert_eq!(authorization(text, Some("hf_x")).as_deref(), Some("Bearer hf_x"), "{text}");
        }
        for text in
            ["http://hub", "http://10.0.0.7:8080", "http://localhost.example", "http://127.0.0.1.example"]
        {
            let endpoint = Endpoint::new(text, Some("hf_x")).expect(text);
            assert_eq!((endpoint.credentials, endpoint.authorization), (Credentials::WithheldToken, None));
        }
    }

    #[test]
    fn an_address_that_cannot_be_used_is_shown_without_its_password() {
        for text in [
            "ftp://user:hunter2@host",
            "user:hunter2@host",
            "https://user:hunter2@",
            "https://user:hunter2@ho st",
            "https://user:a/hunter2@host",
            "https://user:1?hunter2@host",
            "https://user:1#hunter2@host",
            "https://user:hunter2%4@host",
            "user:hunter2://x@host",
            "https://host/?token=hunter2",
            "https://host#hunter2",
        ] {
            match Endpoint::new(text, None) {
                Err(error) => assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}"),
                Ok(endpoint) => panic!("{text} is {}", endpoint.address),
            }
        }
    }

    #[test]
    fn redaction_keeps_the_place() {
        assert_eq!(redacted("https://user:secret@host:1/a"), "https://…@host:1/a");
        assert_eq!(redacted("https://host:1/a"), "https://host:1/a");
        assert_eq!(redacted("host"), "host");
        assert_eq!(redacted("https://host/a?b=c"), "https://host/a…");
    }

    #[test]
    fn another_scheme_host_or_port_is_another_server() {
        let origin = |text: &str| Origin::of(&text.parse().expect(text));
        for same in ["https://HUB/x", "https://hub:443", "https://user@hub/"] {
            assert_eq!(origin(same), origin("https://hub"), "{same}");
        }
        for other in
            ["http://hub", "https://hub:8443", "https://hub.example", "https://hub@evil", "https://hub."]
        {
            assert_ne!(origin(other), origin("https://hub"), "{other}");
        }
        assert_eq!(origin("ftp://hub"), None);
    }

    #[test]
    fn locations_are_joined() {
        let base: Uri = "https://hub:1/org/name/file?x=y".parse().expect("an address");
        for (location, address) in [
            ("/a/b?c=d", "https://hub:1/a/b?c=d"),
            ("other#part", "https://hub:1/org/name/other"),
            ("?z", "https://hub:1/org/name/file?z"),
            ("//cdn/a", "https://cdn/a"),
            ("http://cdn/a:b", "http://cdn/a:b"),
            ("/a:b", "https://hub:1/a:b"),
        ] {
            assert_eq!(joined(&base, location).expect(location).to_string(), address);
        }
        for location in ["http://", "http://a b", "https://[", "/ä ö"] {
            assert!(joined(&base, location).is_none(), "{location}");
        }
    }
}
