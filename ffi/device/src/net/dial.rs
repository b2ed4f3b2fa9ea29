//! TCP and TLS. One configuration of TLS for websocket and HTTP.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::Address;
use crate::error::Error;
use crate::timing::CONNECT;

/// A connection, whatever it is made of.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// A connection, whatever it is made of.
pub(crate) type Stream = Box<dyn Wire>;

/// Makes connections.
#[derive(Clone)]
pub(crate) struct Dialer {
    tls: TlsConnector,
    allow_plain_http: bool,
}

impl Dialer {
    /// A dialer that trusts the public authorities and those of `extra_roots_pem`.
    ///
    /// # Errors
    /// [`Error::Certificate`] when the extra certificates cannot be read.
    pub fn new(extra_roots_pem: Option<&str>, allow_plain_http: bool) -> Result<Self, Error> {
        let bad = |e: &dyn std::fmt::Display| Error::Certificate(format!("the extra certificates: {e}"));
        let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(pem) = extra_roots_pem {
            let before = roots.len();
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                roots.add(certificate.map_err(|e| bad(&e))?).map_err(|e| bad(&e))?;
            }
            if roots.len() == before {
                return Err(bad(&"there is none in the text"));
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = versions.map_err(|e| bad(&e))?.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { tls: TlsConnector::from(Arc::new(config)), allow_plain_http })
    }

    /// Refuses an address to which everything would travel in the clear.
    ///
    /// # Errors
    /// [`Error::PlainHttp`].
    pub fn check(&self, address: &Address) -> Result<(), Error> {
        if address.tls || address.is_loopback() || self.allow_plain_http {
            Ok(())
        } else {
            Err(Error::PlainHttp)
        }
    }

    /// Connects within [`CONNECT`].
    ///
    /// # Errors
    /// [`Error::Offline`], [`Error::Certificate`], [`Error::PlainHttp`].
    pub async fn dial(&self, address: &Address) -> Result<Stream, Error> {
        self.check(address)?;
        timeout(CONNECT, self.connect(address))
            .await
            .unwrap_or_else(|_| Err(Error::Offline(format!("no connection within {} s", CONNECT.as_secs()))))
    }

    async fn connect(&self, address: &Address) -> Result<Stream, Error> {
        let offline = |e: std::io::Error| Error::Offline(e.to_string());
        let tcp = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(offline)?;
        // Frames are whole messages; waiting for more to send would only delay them.
        tcp.set_nodelay(true).map_err(offline)?;
        if !address.tls {
            return Ok(Box::new(tcp));
        }
        let name =
            ServerName::try_from(address.host.clone()).map_err(|e| Error::Certificate(e.to_string()))?;
        let stream = self.tls.connect(name, tcp).await.map_err(tls_error)?;
        Ok(Box::new(stream))
    }
}

fn tls_error(error: std::io::Error) -> Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            Error::Certificate(error.to_string())
        }
        _ => Error::Offline(error.to_string()),
    }
}
