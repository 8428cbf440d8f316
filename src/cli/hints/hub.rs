//! The next step after an error of the hub.

use neural_sparse::hub::{Credentials, HubError, DEFAULT_ENDPOINT};
use neural_sparse::known::{self, KnownModel};

/// What to do next after an error of the hub, where there is something that helps.
pub(in crate::cli) fn of_hub(error: &HubError) -> Option<String> {
    Some(match error {
        HubError::NoFolder { .. } => NAMES.into(),
        HubError::UnknownName { nearest, .. } => {
            let slip = nearest.map(|known| format!("did you mean `{known}`? ")).unwrap_or_default();
            format!("{slip}{NAMES}")
        }
        HubError::NoRevision { .. } => "`--revision` is for models of the hub".into(),
        HubError::Endpoint { .. } => {
            format!("`HF_ENDPOINT` is like `{DEFAULT_ENDPOINT}`; write a password in it percent-encoded")
        }
        HubError::Token => "check `HF_TOKEN`, or the file that logging in to the hub left".into(),
        HubError::Refused { endpoint, id, credentials, .. } => {
            match credentials {
                Credentials::None | Credentials::Token => {
                    format!("accept its licence on {endpoint}/{id} and set `HF_TOKEN` to a token that may read it")
                }
                Credentials::Password => "check the user name and password in `HF_ENDPOINT`".into(),
                Credentials::WithheldToken => {
                    "`HF_TOKEN` is only sent over `https://`: set `HF_ENDPOINT` to such an address".into()
                }
            }
        }
        HubError::Unreachable { name, .. } => {
            format!("{}; `HF_ENDPOINT` names a mirror", without_network(name))
        }
        HubError::Status { name, .. } => format!("try again later; {}", without_network(name)),
        HubError::Incomplete { name, has_query_side: true, .. } => {
            format!(
                "only the query side is cached, which is enough for `--as query`; {}",
                without_network(name)
            )
        }
        HubError::NotCached { name, .. } | HubError::Incomplete { name, .. } => without_network(name),
        HubError::Model(error) => return super::of_model(error),
        HubError::CutShort { name, .. } => {
            format!(
                "`neural-sparse model pull {name}` goes on where it stopped; `--model tiny` needs no network"
            )
        }
        HubError::WrongSize { .. } | HubError::TooLong { .. } | HubError::WrongHash { .. } => {
            "the file was deleted: try again, or without the mirror or proxy in between".into()
        }
        HubError::Answer { .. } => "check `HF_ENDPOINT`; `--model tiny` needs no network".into(),
        HubError::Unusable { name, .. } => {
            format!("`neural-sparse model pull {name}` replaces damaged files of the cache")
        }
        HubError::Cache { .. } => "`HF_HUB_CACHE` names another folder; `--model tiny` needs none".into(),
        HubError::NotFound { .. } => {
            "check the spelling; `neural-sparse model list` shows the models known by name".into()
        }
        _ => return None,
    })
}

/// What `--model` takes.
const NAMES: &str =
    "a model is `tiny`, a folder, a hub id `org/name`, or a name that `neural-sparse model list` shows";

fn without_network(name: &str) -> String {
    let queries = match known::find(name).is_some_and(KnownModel::has_built_in_queries) {
        true => " and neither do queries of this model, with `--as query`",
        false => "",
    };
    format!(
        "`--model tiny` needs no network{queries}; for `{name}`, run `neural-sparse model pull {name}` where there is \
         network, and copy the cache folder if that is another machine"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "org/model";

    /// The hint after `error`, which must hold each of `parts`, and the error none of what is for the hint to say.
    fn check(error: HubError, parts: &[&str]) {
        let hint = of_hub(&error).expect("a hint");
        for part in parts {
            assert!(hint.contains(part), "{hint}");
        }
        let message = error.to_string();
        for word in ["--", "HF_", "neural-sparse "] {
            assert!(!message.contains(word), "{message}");
        }
    }

    fn source() -> Box<dyn std::error::Error + Send + Sync> {
        "refused".into()
    }

    #[test]
    fn a_name_that_means_nothing_has_the_names_that_do() {
        let reason = "no such folder";
        check(HubError::NoFolder { path: "./x".into(), reason }, &["`tiny`", "neural-sparse model list"]);
        let nearest = Some("doc-v3-distill");
        check(
            HubError::UnknownName { name: "doc-v3-distil".into(), nearest },
            &["did you mean `doc-v3-distill`?", "neural-sparse model list"],
        );
        let (endpoint, id, revision) = ("https://hub".into(), NAME.into(), "v9".into());
        check(HubError::NotFound { endpoint, id, revision }, &["neural-sparse model list"]);
        let revision = "main".into();
        check(
            HubError::NoRevision { name: "tiny".into(), reason: "is compiled in", revision },
            &["`--revision`"],
        );
    }

    #[test]
    fn what_needs_the_network_has_a_way_without() {
        let pull = format!("neural-sparse model pull {NAME}");
        let ways = ["--model tiny", pull.as_str()];
        let (name, endpoint) = (NAME.to_string(), "https://hub".to_string());
        check(
            HubError::NotCached { name: name.clone(), revision: "main".into(), cache_dir: "hub".into() },
            &ways,
        );
        check(HubError::Status { endpoint: endpoint.clone(), name: name.clone(), status: 503 }, &ways);
        let unreachable = HubError::Unreachable { endpoint, name: name.clone(), source: source() };
        check(unreachable, &[&ways[..], &["HF_ENDPOINT"]].concat());
        for has_query_side in [false, true] {
            let file = "model.safetensors".into();
            let error = HubError::Incomplete { name: name.clone(), file, has_query_side };
            assert_eq!(of_hub(&error).is_some_and(|hint| hint.contains("--as query")), has_query_side);
            check(error, &ways);
        }
        let (file, source) = ("org/model/model.safetensors".into(), source());
        check(HubError::CutShort { name, file, expected: 9, got: 7, source }, &ways);
        let error = HubError::NotCached {
            name: "doc-v3-distill".into(),
            revision: "main".into(),
            cache_dir: "hub".into(),
        };
        check(error, &["neither do queries of this model, with `--as query`"]);
    }

    #[test]
    fn a_setting_that_is_wrong_is_named() {
        let endpoint = || "https://hub".to_string();
        let reason = "it names no scheme";
        check(HubError::Endpoint { endpoint: endpoint(), reason }, &["HF_ENDPOINT", DEFAULT_ENDPOINT]);
        check(HubError::Answer { endpoint: endpoint(), reason: "x".into() }, &["HF_ENDPOINT"]);
        check(HubError::Token, &["HF_TOKEN"]);
        for (credentials, parts) in [
            (Credentials::None, ["HF_TOKEN", "licence on https://hub/org/model"]),
            (Credentials::Token, ["HF_TOKEN", "licence"]),
            (Credentials::Password, ["HF_ENDPOINT", "password"]),
            (Credentials::WithheldToken, ["HF_ENDPOINT", "https://"]),
        ] {
            check(
                HubError::Refused { endpoint: endpoint(), id: NAME.into(), status: 401, credentials },
                &parts,
            );
        }
        let source = std::io::ErrorKind::PermissionDenied.into();
        check(HubError::Cache { path: "hub".into(), source }, &["HF_HUB_CACHE"]);
    }

    #[test]
    fn damaged_files_are_replaced() {
        let file = || "org/model/config.json".to_string();
        check(HubError::WrongSize { file: file(), expected: 1, got: 2 }, &["try again"]);
        check(HubError::TooLong { file: file(), expected: 1 }, &["try again"]);
        check(HubError::WrongHash { file: file(), expected: "a".into(), got: "b".into() }, &["try again"]);
        let error = neural_sparse::Error::Invalid { file: file(), reason: "not a JSON object".into() };
        check(HubError::Unusable { name: NAME.into(), error }, &["neural-sparse model pull org/model"]);
    }
}
