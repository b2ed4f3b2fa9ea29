//! HTTP/1.1 requests to the server's REST face, one after another over one connection.

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_RANGE, CONTENT_TYPE, HOST, RANGE, USER_AGENT};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::{Address, Dialer};
use crate::error::Error;
use crate::timing::{ANSWER, PIECE};

/// One connection to the REST face.
pub(crate) struct Http {
    sender: SendRequest<Full<Bytes>>,
    address: Address,
    agent: String,
}

/// An answer.
pub(crate) struct Reply {
    /// HTTP status.
    pub status: u16,
    /// At most [`REPLY_MAX_BYTES`].
    pub body: Bytes,
}

/// An answer that comes piece by piece.
pub(crate) struct Download {
    /// HTTP status.
    pub status: u16,
    /// Where in the whole its first byte stands.
    pub begins_at: u64,
    body: Incoming,
}

/// What is asked.
struct Ask<'a> {
    /// Access token.
    token: Option<&'a str>,
    /// Body and its media type.
    body: Option<(&'static str, Bytes)>,
    /// Where the answer should begin, in bytes.
    from: u64,
}

impl<'a> Ask<'a> {
    fn new(token: Option<&'a str>) -> Self {
        Self { token, body: None, from: 0 }
    }
}

impl Http {
    /// Connects.
    ///
    /// # Errors
    /// As [`Dialer::dial`].
    pub async fn connect(dialer: &Dialer, address: &Address, agent: &str) -> Result<Self, Error> {
        let stream = dialer.dial(address).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(offline)?;
        // It ends with the sender, or with the peer.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Self { sender, address: address.clone(), agent: agent.to_owned() })
    }

    /// Posts JSON and reads JSON.
    ///
    /// # Errors
    /// [`Error::Offline`], or the server's refusal.
    pub async fn post<T: DeserializeOwned>(
        &mut self,
        path: &str,
        token: Option<&str>,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        let bytes = serde_json::to_vec(body).map_err(|e| Error::Invalid(e.to_string()))?;
        let ask = Ask { body: Some(("application/json", bytes.into())), ..Ask::new(token) };
        self.call(Method::POST, path, ask).await?.json()
    }

    /// Reads JSON.
    ///
    /// # Errors
    /// As [`Http::post`].
    pub async fn get<T: DeserializeOwned>(&mut self, path: &str, token: &str) -> Result<T, Error> {
        self.call(Method::GET, path, Ask::new(Some(token))).await?.json()
    }

    /// Sends bytes; every status is an answer.
    ///
    /// # Errors
    /// [`Error::Offline`].
    pub async fn put(&mut self, path: &str, token: &str, body: Vec<u8>) -> Result<Reply, Error> {
        let ask = Ask { body: Some(("application/octet-stream", body.into())), ..Ask::new(Some(token)) };
        self.call(Method::PUT, path, ask).await
    }

    /// Reads bytes behind `from`, piece by piece; every status is an answer.
    ///
    /// # Errors
    /// [`Error::Offline`].
    pub async fn download(&mut self, path: &str, token: &str, from: u64) -> Result<Download, Error> {
        let request = self.request(Method::GET, path, Ask { from, ..Ask::new(Some(token)) })?;
        let response = heard(async {
            self.sender.ready().await.map_err(offline)?;
            self.sender.send_request(request).await.map_err(offline)
        });
        let (head, body) = response.await?.into_parts();
        let range = head.headers.get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
        let begins_at = match head.status.as_u16() {
            206 => range.and_then(range_start).unwrap_or(from),
            _ => 0,
        };
        Ok(Download { status: head.status.as_u16(), begins_at, body })
    }

    fn request(&self, method: Method, path: &str, ask: Ask<'_>) -> Result<Request<Full<Bytes>>, Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.address.path))
            .header(HOST, self.address.authority())
            .header(USER_AGENT, &self.agent);
        if let Some(token) = ask.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if ask.from > 0 {
            request = request.header(RANGE, format!("bytes={}-", ask.from));
        }
        let body = match ask.body {
            Some((kind, bytes)) => {
                request = request.header(CONTENT_TYPE, kind);
                bytes
            }
            None => Bytes::new(),
        };
        request.body(Full::new(body)).map_err(|e| Error::Invalid(e.to_string()))
    }

    async fn call(&mut self, method: Method, path: &str, ask: Ask<'_>) -> Result<Reply, Error> {
        let request = self.request(method, path, ask)?;
        let sent = async {
            self.sender.ready().await.map_err(offline)?;
            let response = self.sender.send_request(request).await.map_err(offline)?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), REPLY_MAX_BYTES).collect().await;
            let body = body.map_err(|e| Error::Offline(e.to_string()))?.to_bytes();
            Ok(Reply { status, body })
        };
        timeout(ANSWER, sent)
            .await
            .unwrap_or_else(|_| Err(Error::Offline(format!("no answer within {} s", ANSWER.as_secs()))))
    }
}

impl Download {
    /// The next piece; `None` behind the last.
    ///
    /// # Errors
    /// [`Error::Offline`], also when nothing comes for [`PIECE`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let frame = heard(async { self.body.frame().await.transpose().map_err(offline) }).await?;
            match frame.map(|frame| frame.into_data()) {
                None => return Ok(None),
                Some(Ok(bytes)) => return Ok(Some(bytes)),
                // Trailers say nothing here.
                Some(Err(_)) => {}
            }
        }
    }

    /// As an answer that is short: a refusal.
    ///
    /// # Errors
    /// As [`Download::next`].
    pub async fn reply(mut self) -> Result<Reply, Error> {
        let mut body = Vec::new();
        while let Some(piece) = self.next().await? {
            let room = REPLY_MAX_BYTES.saturating_sub(body.len());
            body.extend_from_slice(&piece[..piece.len().min(room)]);
            if room == 0 {
                break;
            }
        }
        Ok(Reply { status: self.status, body: body.into() })
    }
}

impl Reply {
    /// The body as JSON, when the server said yes.
    ///
    /// # Errors
    /// The server's refusal.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        if !(200..300).contains(&self.status) {
            return Err(refusal(self));
        }
        serde_json::from_slice(&self.body).map_err(|e| Error::Server {
            code: "unreadable".into(),
            detail: format!("the answer cannot be read: {e}"),
        })
    }
}

/// What a refusal says (RFC 9457).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    code: String,
    detail: String,
}

/// The server's no. A server that is overloaded, stopping or behind a broken proxy counts as not reached.
pub(crate) fn refusal(reply: &Reply) -> Error {
    let Problem { code, detail } = serde_json::from_slice(&reply.body).unwrap_or_default();
    // Whoever types a code has to know that waiting helps, and not that the server cannot be reached.
    if reply.status >= 500 || (reply.status == 429 && code != "too_many_attempts") {
        return Error::Offline(format!("status {} {detail}", reply.status));
    }
    if code == "device_revoked" || code.starts_with("refresh_") {
        return Error::SignedOut(detail);
    }
    let code = if code.is_empty() { format!("status_{}", reply.status) } else { code };
    Error::Server { code, detail }
}

/// Something has to come within [`PIECE`].
async fn heard<T>(coming: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = |_| Err(Error::Offline(format!("nothing came for {} s", PIECE.as_secs())));
    timeout(PIECE, coming).await.unwrap_or_else(late)
}

/// Where the part begins that an answer holds: `bytes 262144-999999/1000000`.
fn range_start(value: &str) -> Option<u64> {
    value.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

fn offline(error: hyper::Error) -> Error {
    Error::Offline(error.to_string())
}

/// Longest answer that is not evidence: a list of devices is a few KB.
const REPLY_MAX_BYTES: usize = 1 << 20;
