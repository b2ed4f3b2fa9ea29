//! The connection of a measured phone: TCP whose bytes are counted, TLS over it or not, and the websocket. Also a link with a delay, which
//! turns round trips into time.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use fieldbook_core::limits;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::Fail;

/// Bytes of TCP payload both ways: the upgrade, the frames with their heads, TLS when there is TLS.
#[derive(Debug, Default)]
pub struct Tally {
    up: AtomicU64,
    down: AtomicU64,
}

impl Tally {
    /// Bytes sent.
    pub fn up(&self) -> u64 {
        self.up.load(Ordering::Relaxed)
    }

    /// Bytes received.
    pub fn down(&self) -> u64 {
        self.down.load(Ordering::Relaxed)
    }
}

/// Any stream.
pub trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// A websocket of the sync endpoint.
pub type Socket = WebSocketStream<Box<dyn Wire>>;

/// Connects to `/sync`; with a root certificate by TLS.
///
/// # Errors
/// Those of the network.
pub async fn connect(
    port: u16,
    root: Option<&CertificateDer<'static>>,
    tally: &Arc<Tally>,
) -> Result<Socket, Fail> {
    let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
    tcp.set_nodelay(true)?;
    let counted = Counted { inner: tcp, tally: tally.clone() };
    let (scheme, stream): (_, Box<dyn Wire>) = match root {
        None => ("ws", Box::new(counted)),
        Some(root) => {
            let name = ServerName::try_from("localhost")?;
            ("wss", Box::new(connector(root)?.connect(name, counted).await?))
        }
    };
    let request = format!("{scheme}://localhost:{port}/sync").into_client_request()?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(limits::FRAME_MAX_BYTES))
        .max_frame_size(Some(limits::FRAME_MAX_BYTES))
        .read_buffer_size(8 << 10);
    Ok(client_async_with_config(request, stream, Some(config)).await?.0)
}

fn connector(root: &CertificateDer<'static>) -> Result<TlsConnector, Fail> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root.clone())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A link in front of a server that delays everything by `one_way`, in order, however much is under way. Gives its port. A TCP
/// connection to it stands at once: what is timed through it are the round trips behind that.
///
/// # Errors
/// Those of the network.
pub async fn delayed(port: u16, one_way: Duration) -> Result<u16, Fail> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let own = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
            let _ = (near.set_nodelay(true), far.set_nodelay(true));
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::spawn(carry(near_in, far_out, one_way));
            tokio::spawn(carry(far_in, near_out, one_way));
        }
    });
    Ok(own)
}

async fn carry(
    mut from: impl AsyncRead + Unpin + Send + 'static,
    mut to: impl AsyncWrite + Unpin,
    one_way: Duration,
) {
    let (send, mut queue) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(n @ 1..) = from.read(&mut bytes).await {
            if send.send((Instant::now() + one_way, bytes[..n].to_vec())).is_err() {
                return;
            }
        }
    });
    while let Some((at, bytes)) = queue.recv().await {
        tokio::time::sleep_until(at).await;
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// Counts what passes.
struct Counted {
    inner: TcpStream,
    tally: Arc<Tally>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.tally.down.fetch_add((buf.filled().len() - before) as u64, Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        if let Poll::Ready(Ok(n)) = &polled {
            self.tally.up.fetch_add(*n as u64, Ordering::Relaxed);
        }
        polled
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
