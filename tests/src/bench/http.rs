//! Requests to a server under test over one connection that stays.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Fail;

/// A connection.
pub struct Http(BufReader<TcpStream>);

impl Http {
    /// Connects.
    ///
    /// # Errors
    /// The network's.
    pub async fn connect(port: u16) -> Result<Self, Fail> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Posts JSON with further headers (each a whole line without its end); the answer.
    ///
    /// # Errors
    /// The network's, and any status that is no success.
    pub async fn post(
        &mut self,
        path: &str,
        headers: &[String],
        body: &str,
    ) -> Result<serde_json::Value, Fail> {
        let further: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{further}\r\n",
            body.len()
        );
        self.0.get_mut().write_all(format!("{head}{body}").as_bytes()).await?;
        let status = self.line().await?;
        let mut length = 0;
        loop {
            let line = self.line().await?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(told) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = told.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        timeout(PATIENCE, self.0.read_exact(&mut body)).await??;
        if !status.starts_with("HTTP/1.1 2") {
            return Err(format!("{}: {}", status.trim(), String::from_utf8_lossy(&body)).into());
        }
        Ok(serde_json::from_slice(&body)?)
    }

    async fn line(&mut self) -> Result<String, Fail> {
        let mut line = String::new();
        timeout(PATIENCE, self.0.read_line(&mut line)).await??;
        Ok(line)
    }
}

const PATIENCE: Duration = Duration::from_secs(60);
