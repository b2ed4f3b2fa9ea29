//! The one way out (O9, C77, C88): intents go to one address, each under its key and signed, until the receiver has it, refuses it, or it is
//! too late. Whoever receives tells the key apart and the sender by the signature; see `docs/operations.md`.

use std::sync::Arc;
use std::time::Duration;

use fieldbook_core::company::{Intent, IntentState, Sent};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use ring::hmac;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::signature;

/// Where intents go, and the key that signs them.
pub(super) struct Webhook {
    tls: Option<TlsConnector>,
    host: String,
    port: u16,
    /// As it is named in the request.
    authority: String,
    path: String,
    key: hmac::Key,
}

impl Webhook {
    /// Reads an address that begins with `https://` or `http://`.
    ///
    /// # Errors
    /// A sentence, when it is none.
    pub fn new(address: &str, key: &str) -> Result<Self, String> {
        // The address itself is told nowhere: what stands behind its question mark is a secret with some receivers.
        let uri: Uri = address.parse().map_err(|e| format!("it is no address: {e}"))?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("it begins neither with https:// nor with http://".to_owned()),
        };
        // As it is dialled: an IPv6 address without its brackets.
        let host = uri.host().ok_or("the address names no host")?.trim_matches(['[', ']']).to_owned();
        Ok(Self {
            tls: secure.then(connector).transpose()?,
            authority: uri
                .authority()
                .map(|a| a.as_str().rsplit('@').next().unwrap_or_default().to_owned())
                .unwrap_or_default(),
            host,
            port: uri.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            path: uri.path_and_query().map_or("/".to_owned(), ToString::to_string),
            key: signature::key(key.as_bytes()),
        })
    }

    /// Sends one, and waits for the answer.
    pub async fn send(&self, intent: &Intent, now_ms: i64) -> Sent {
        let answer = tokio::time::timeout(ANSWER, self.status(intent, now_ms)).await;
        match answer {
            // It has it already: that is what the key is for.
            Ok(Ok(200..=299 | 409)) => Sent::Delivered,
            Ok(Ok(status @ (400 | 410 | 422))) => {
                tracing::warn!(intent = %intent.id, status, "the receiver does not want an intent");
                Sent::Refused
            }
            // It may be on its way up, or have another key by then.
            Ok(Ok(status)) => {
                tracing::warn!(intent = %intent.id, status, "an intent was not taken");
                Sent::Failed
            }
            Err(_) => Sent::Failed,
            Ok(Err(error)) => {
                tracing::warn!(intent = %intent.id, error, "an intent did not get through");
                Sent::Failed
            }
        }
    }

    async fn status(&self, intent: &Intent, now_ms: i64) -> Result<u16, String> {
        let said = |e: &dyn std::fmt::Display| e.to_string();
        // The same for every attempt, as its key is.
        let told = Intent { state: IntentState::Waiting, tries: 0, ..intent.clone() };
        let body = serde_json::to_vec(&told).map_err(|e| said(&e))?;
        let request = Request::post(&self.path)
            .header(HOST, &self.authority)
            .header(USER_AGENT, concat!("fieldbook/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", intent.id.to_string())
            .header(signature::HEADER, signature::sign(&self.key, &body, now_ms))
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| said(&e))?;
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|e| said(&e))?;
        let Some(tls) = &self.tls else { return exchange(stream, request).await };
        let name = ServerName::try_from(self.host.clone()).map_err(|e| said(&e))?;
        exchange(tls.connect(name, stream).await.map_err(|e| said(&e))?, request).await
    }
}

fn connector() -> Result<TlsConnector, String> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<u16, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    // It ends with the sender, or with the peer.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
    Ok(response.status().as_u16())
}

/// How long a receiver may take.
const ANSWER: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::Router;
    use axum::extract::State;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::post;
    use fieldbook_core::ids::{DocId, EntryId, UserId};

    use super::*;

    type Seen = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

    fn intent() -> Intent {
        Intent {
            id: EntryId([7; 16]),
            rule: "response".into(),
            lead: DocId([1; 16]),
            tell: vec![UserId([2; 8])],
            text: "分配后未按时响应".into(),
            policy: EntryId([0; 16]),
            decided_ms: 1,
            expires_ms: 2,
            state: IntentState::Waiting,
            tries: 0,
        }
    }

    /// A receiver that gives these answers in turn.
    async fn receiver(answers: &'static [u16]) -> (String, Seen) {
        let seen = Seen::default();
        let handler = move |State(seen): State<Seen>, headers: HeaderMap, body: Bytes| async move {
            let mut seen = seen.lock().unwrap();
            seen.push((headers, body));
            StatusCode::from_u16(answers[seen.len() - 1]).unwrap()
        };
        let app = Router::new().route("/in", post(handler)).with_state(seen.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/in", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (address, seen)
    }

    #[tokio::test]
    async fn an_intent_arrives_under_its_key_and_signed() {
        let (address, seen) = receiver(&[503, 200, 409, 404, 422]).await;
        let webhook = Webhook::new(&address, "secret").unwrap();
        let expected = [Sent::Failed, Sent::Delivered, Sent::Delivered, Sent::Failed, Sent::Refused];
        for (tries, expected) in (0..).zip(expected) {
            assert_eq!(webhook.send(&Intent { tries, ..intent() }, 1_000).await, expected);
        }
        let seen = seen.lock().unwrap();
        let (headers, body) = &seen[0];
        assert_eq!(headers["host"], address.trim_start_matches("http://").trim_end_matches("/in"));
        assert!(seen.iter().all(|(_, other)| other == body), "one key, one message");
        assert!(seen.iter().all(|(other, _)| other["idempotency-key"] == headers["idempotency-key"]));
        assert_eq!(headers["idempotency-key"], "07".repeat(16).as_str());
        let signed = headers["fieldbook-signature"].to_str().unwrap();
        assert!(
            signed.starts_with("t=1000,")
                && signature::verify(&signature::key(b"secret"), signed, body, 1_000, 0)
        );
        let told: serde_json::Value = serde_json::from_slice(body).unwrap();
        assert_eq!(
            (told["rule"].as_str(), told["text"].as_str()),
            (Some("response"), Some("分配后未按时响应"))
        );
    }

    #[tokio::test]
    async fn nobody_there_is_a_failure_and_a_wrong_address_is_told() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        assert_eq!(Webhook::new(&address, "").unwrap().send(&intent(), 0).await, Sent::Failed);
        for wrong in ["ftp://a/b", "a", "https://"] {
            assert!(Webhook::new(wrong, "").is_err(), "{wrong}");
        }
    }
}
