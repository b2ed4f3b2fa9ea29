//! TLS by option: certificate and key from two PEM files, read again when they change and the server is told so.

use std::path::Path;
use std::sync::Arc;

use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::TlsFiles;

/// Why TLS cannot begin. Names the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// Which.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file holds nothing of the kind that is looked for.
    #[error("{path} holds no {what} in PEM form")]
    Empty {
        /// Which.
        path: String,
        /// What was looked for.
        what: &'static str,
    },
    /// Certificate and key do not belong together, or are of a kind that nobody accepts.
    #[error("the certificate in {path} cannot be used: {source}")]
    Unusable {
        /// The certificate's file.
        path: String,
        /// What the library said.
        source: rustls::Error,
    },
}

/// Reads both files.
///
/// # Errors
/// [`TlsError`].
pub fn load(files: &TlsFiles) -> Result<RustlsConfig, TlsError> {
    Ok(RustlsConfig::from_config(Arc::new(server_config(files)?)))
}

/// Reads both files again for connections that begin from now on; after an error the old certificate stays.
///
/// # Errors
/// [`TlsError`].
pub fn reload(config: &RustlsConfig, files: &TlsFiles) -> Result<(), TlsError> {
    config.reload_from_config(Arc::new(server_config(files)?));
    Ok(())
}

fn server_config(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let cert_bytes = read(&files.cert)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&cert_bytes).filter_map(Result::ok).collect();
    if chain.is_empty() {
        return Err(TlsError::Empty { path: name(&files.cert), what: "certificate" });
    }
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?)
        .map_err(|_| TlsError::Empty { path: name(&files.key), what: "private key" })?;
    let unusable = |source| TlsError::Unusable { path: name(&files.cert), source };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Unreadable { path: name(path), source })
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path, cert: &str, key: &str) -> TlsFiles {
        let files = TlsFiles { cert: folder.join("cert.pem"), key: folder.join("key.pem") };
        std::fs::write(&files.cert, cert).unwrap();
        std::fs::write(&files.key, key).unwrap();
        files
    }

    #[test]
    fn a_good_pair_loads_and_every_bad_one_says_which_file() {
        let folder = tempfile::tempdir().unwrap();
        let one = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (cert, key) = (one.cert.pem(), one.signing_key.serialize_pem());
        let good = load(&files(folder.path(), &cert, &key)).unwrap();
        for (cert, key, expected) in [
            ("nothing", key.as_str(), "cert.pem holds no certificate"),
            (cert.as_str(), "nothing", "key.pem holds no private key"),
            (cert.as_str(), &other.signing_key.serialize_pem(), "cert.pem cannot be used"),
        ] {
            let refused = reload(&good, &files(folder.path(), cert, key)).unwrap_err().to_string();
            assert!(refused.contains(expected), "{refused}");
        }
        let missing = TlsFiles { cert: folder.path().join("none.pem"), key: folder.path().join("none.pem") };
        assert!(load(&missing).is_err_and(|e| e.to_string().contains("none.pem")));
    }
}
