//! TLS towards others: which certificates count, and by which cryptography.
//!
//! There is one provider of cryptography in the program, ring: the database driver brings it, and no
//! other is built in. Clients are handed a whole configuration, so that none looks for a provider of
//! its own.

use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore};

/// TLS that believes the authorities every browser believes and those this system believes.
///
/// # Errors
/// When the provider supports no version of TLS: a fault of the build.
pub fn trusting_known_authorities() -> Result<ClientConfig, rustls::Error> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        let system = rustls_native_certs::load_native_certs();
        for problem in &system.errors {
            tracing::debug!(%problem, "a certificate of the system could not be read");
        }
        // Old systems keep certificates that nobody can read any more; the others count.
        roots.add_parsable_certificates(system.certs);
        Arc::new(roots)
    });
    config(Arc::clone(roots))
}

/// TLS that believes nobody, for connections that need none: cheap to make.
///
/// # Errors
/// As [`trusting_known_authorities`].
pub fn trusting_nobody() -> Result<ClientConfig, rustls::Error> {
    config(Arc::new(RootCertStore::empty()))
}

/// Makes ring the provider of this process, for libraries that ask for the process's own. Has no
/// effect when there is one already.
pub fn install_provider() {
    // Refused only when a provider is installed, which is what is wanted.
    drop(rustls::crypto::ring::default_provider().install_default());
}

fn config(roots: Arc<RootCertStore>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
