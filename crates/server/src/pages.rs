//! Pages rendered on the server: no script, nothing fetched from anywhere.

mod example;
mod reference;
mod types;

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

pub(crate) use reference::reference;

/// A page and the content security policy it is served with.
pub(crate) struct Page {
    /// The HTML.
    pub(crate) text: String,
    /// What the page may do: show itself with its own style, nothing else.
    pub(crate) policy: String,
}

/// The page for a browser that comes without a key: how to fetch the reference with one.
pub(crate) fn key_needed(address: &str) -> Page {
    let address = if address == "/" {
        "http://HUB"
    } else {
        address
    };
    let fetch = format!(
        "curl -H \"Authorization: Bearer $(cat KEY_FILE)\" {address}/v1/docs -o alkhub-reference.html"
    );
    wrap(
        "alkhub: a key is needed",
        html! {
            main.narrow {
                h1 { "A key is needed" }
                p { "The reference lists what a key may call, so it needs one, and a browser does not send one by itself. Save the page with:" }
                pre { code { (fetch) } }
                p { "The page needs no network once saved. On the hub's own machine the key lies in the file " code { "local-key" } " of the data directory." }
            }
        },
    )
}

/// Puts a body into the common frame.
fn wrap(title: &str, body: Markup) -> Page {
    let text = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    Page {
        text: text.into_string(),
        policy: POLICY.clone(),
    }
}

const STYLE: &str = include_str!("pages/style.css");

/// The style is named by its hash, so no other style, and no script at all, can run.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_asks_for_nothing_from_outside_and_runs_no_script() {
        let page = key_needed("http://127.0.0.1:4848");
        for forbidden in ["<script", "<link", "<img", "@import", "url("] {
            assert!(!page.text.contains(forbidden), "{forbidden}");
        }
        assert!(page.policy.starts_with("default-src 'none'"));
        assert!(page.text.contains("http://127.0.0.1:4848/v1/docs"));
    }
}
