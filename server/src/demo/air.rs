//! The air between a phone of the demonstration and the server: everything that the phone sends and hears goes through here, and in a
//! basement nothing does. Losing the signal cuts what is open, in the middle of a frame if need be, and refuses whatever is dialled next.
//!
//! Knows nothing of the protocol: it copies bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// One phone's way to the server. Dropping it takes the way away for good.
pub(super) struct Air {
    /// What the phone dials instead of the server.
    pub address: SocketAddr,
    signal: watch::Sender<bool>,
    refused: Arc<AtomicU32>,
    listening: JoinHandle<()>,
}

impl Air {
    /// Opens a way to the server at `server`, on a free port of this machine.
    ///
    /// # Errors
    /// What the system says.
    pub async fn open(server: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (signal, hears) = watch::channel(true);
        let refused = Arc::new(AtomicU32::new(0));
        let listening = tokio::spawn(listen(listener, server, hears, refused.clone()));
        Ok(Self { address, signal, refused, listening })
    }

    /// The phone goes into the basement, or comes out of it.
    pub fn set_signal(&self, there: bool) {
        self.signal.send_replace(there);
    }

    /// How often the phone dialled in vain.
    pub fn refused(&self) -> u32 {
        self.refused.load(Ordering::Relaxed)
    }
}

impl Drop for Air {
    fn drop(&mut self) {
        self.listening.abort();
        self.signal.send_replace(false);
    }
}

async fn listen(
    listener: TcpListener,
    server: SocketAddr,
    signal: watch::Receiver<bool>,
    refused: Arc<AtomicU32>,
) {
    while let Ok((phone, _)) = listener.accept().await {
        if *signal.borrow() {
            tokio::spawn(carry(phone, server, signal.clone()));
        } else {
            refused.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Carries one connection until either end closes it or the signal is lost.
async fn carry(mut phone: TcpStream, server: SocketAddr, mut signal: watch::Receiver<bool>) {
    let Ok(mut far) = TcpStream::connect(server).await else { return };
    // Otherwise every small frame waits for the acknowledgement of the one before, and the times in the story would be the relay's.
    let _ = (phone.set_nodelay(true), far.set_nodelay(true));
    // Dropping both sockets is all that a lost signal does; whoever talked notices by itself.
    tokio::select! {
        _ = copy_bidirectional(&mut phone, &mut far) => {}
        _ = signal.wait_for(|there| !there) => {}
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_lost_signal_cuts_what_is_open_and_refuses_what_comes() {
        let server = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let air = Air::open(server.local_addr().unwrap()).await.unwrap();
        let mut phone = TcpStream::connect(air.address).await.unwrap();
        let (mut far, _) = server.accept().await.unwrap();
        phone.write_all(b"hello").await.unwrap();
        let mut heard = [0; 5];
        far.read_exact(&mut heard).await.unwrap();
        assert_eq!((&heard, air.refused()), (b"hello", 0));

        air.set_signal(false);
        for end in [&mut phone, &mut far] {
            assert!(matches!(end.read(&mut heard).await, Ok(0) | Err(_)), "the connection is cut");
        }
        let mut again = TcpStream::connect(air.address).await.unwrap();
        assert!(matches!(again.read(&mut heard).await, Ok(0) | Err(_)), "nothing gets through");
        assert_eq!(air.refused(), 1);

        air.set_signal(true);
        let mut back = TcpStream::connect(air.address).await.unwrap();
        let (mut far, _) = server.accept().await.unwrap();
        far.write_all(b"again").await.unwrap();
        back.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"again");
    }
}
