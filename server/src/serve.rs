//! The running server: listening, TLS, the hourly work, and an end that loses nothing.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, TryLockError};
use std::time::{Duration, SystemTime};

use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use fieldbook_core::company::CompanyError;
use hyper_util::rt::TokioTimer;
use jiff::Timestamp;
use jiff::civil::Date;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::app::{App, blocking};
use crate::auth::Entropy;
use crate::backup::undone;
use crate::config::Config;
use crate::hub::Hub;
use crate::{automation, metrics, rest, tls};

/// A server that takes requests.
pub struct Running {
    /// Where it listens, with the port that it got.
    pub address: SocketAddr,
    app: Arc<App>,
    hub: Arc<Hub>,
    handle: Handle<SocketAddr>,
    listening: JoinHandle<std::io::Result<()>>,
    chores: JoinHandle<()>,
    rules: JoinHandle<()>,
    hurrying: JoinHandle<()>,
    sending: JoinHandle<()>,
    tls: Option<RustlsConfig>,
}

/// Why the server does not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// A socket, or a signal handler.
    #[error("the server failed: {0}")]
    Io(#[from] std::io::Error),
    /// The store could not be left in order; what was acknowledged is safe.
    #[error("the store was not closed in order: {0}")]
    Store(#[from] fieldbook_core::store::StoreError),
}

/// Takes the configured address before anything else is opened, so that the public address is known: port 0 becomes the port that
/// was free.
///
/// # Errors
/// [`ServeError::Listen`].
pub fn bind(config: &mut Config) -> Result<TcpListener, ServeError> {
    let address = config.listen;
    let mut listen = || -> std::io::Result<TcpListener> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        config.listen = listener.local_addr()?;
        Ok(listener)
    };
    listen().map_err(|source| ServeError::Listen { address, source })
}

/// Begins to serve the REST face and the sync endpoint on a listener of [`bind`].
///
/// # Errors
/// [`ServeError::Tls`] or [`ServeError::Io`].
pub fn start(app: Arc<App>, hub: Arc<Hub>, listener: TcpListener) -> Result<Running, ServeError> {
    metrics::install();
    let router = rest::router(app.clone()).merge(hub.router());
    let address = listener.local_addr()?;
    let handle = Handle::new();
    let tls = app.config.tls.as_ref().map(tls::load).transpose()?;
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let mut server = axum_server::from_tcp(listener)?.handle(handle.clone());
    // Whoever opens a connection and sends its head drop by drop does not keep it.
    server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    let listening = match &tls {
        Some(config) => {
            let acceptor = RustlsAcceptor::new(config.clone()).acceptor(NoDelayAcceptor::new());
            tokio::spawn(server.acceptor(acceptor).serve(service))
        }
        None => tokio::spawn(server.acceptor(NoDelayAcceptor::new()).serve(service)),
    };
    let chores = tokio::spawn(chores(app.clone()));
    let rules = tokio::spawn(automation::run(app.clone()));
    let hurrying = tokio::spawn(automation::hurry(app.clone()));
    let sending = tokio::spawn(automation::send(app.clone()));
    match undone::take(&app.config.data_dir) {
        Ok(Some(undone)) => tracing::warn!("this company was restored from a backup; {undone}"),
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "what the restore has undone cannot be read"),
    }
    if app.config.public_url.is_none() && address.ip().is_unspecified() {
        tracing::warn!(%address, "no phone reaches this address: codes and invitations need server.public_url");
    }
    tracing::info!(%address, tls = tls.is_some(), "listening");
    Ok(Running { address, app, hub, handle, listening, chores, rules, hurrying, sending, tls })
}

impl Running {
    /// Serves until the process is told to stop (SIGTERM, SIGINT), then ends in order. SIGHUP reads the certificate again.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn until_signal(self) -> Result<(), ServeError> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hang_up.recv() => self.reload_certificate(),
            }
        }
        tracing::info!("stopping; a second signal ends the process at once");
        tokio::spawn(async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            // Everything acknowledged is on the disk already.
            std::process::exit(130);
        });
        self.stop().await
    }

    /// Ends in order: no new connections, open requests and sessions finish within `server.shutdown_s`, then the store is closed.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn stop(self) -> Result<(), ServeError> {
        self.app.stopping.send_replace(true);
        self.handle.graceful_shutdown(Some(Duration::from_secs(self.app.config.shutdown_s.into())));
        let ended = self.listening.await.map_err(std::io::Error::other)?;
        self.chores.abort();
        // A round that has begun ends before the store is closed, and whatever came of it the store is closed.
        for task in [self.rules, self.hurrying, self.sending] {
            if let Err(error) = task.await {
                tracing::error!(%error, "what runs the rules broke off");
            }
        }
        let (app, hub) = (self.app, self.hub);
        let closed = blocking(move || hub.flush().and(Ok(app.engine.close()?))).await;
        closed.map_err(|error| match error {
            CompanyError::Store(error) => ServeError::Store(error),
            other => ServeError::Io(std::io::Error::other(other.to_string())),
        })?;
        tracing::info!("stopped");
        Ok(ended?)
    }

    fn reload_certificate(&self) {
        if let (Some(config), Some(files)) = (&self.tls, &self.app.config.tls) {
            match tls::reload(config, files) {
                Ok(()) => tracing::info!("the certificate was read again"),
                Err(error) => tracing::error!(%error, "the certificate was not read; the old one stays"),
            }
        }
    }
}

/// What is done now and then: signing keys, what expired, and once a night the store's space.
async fn chores(app: Arc<App>) {
    let mut figures = tokio::time::interval(FIGURES_EVERY);
    let mut hourly = tokio::time::interval(HOUR);
    for every in [&mut figures, &mut hourly] {
        every.set_missed_tick_behavior(MissedTickBehavior::Skip);
    }
    let mut upkeep_ms = upkeep_after(&app.config, app.now_ms());
    loop {
        let app = app.clone();
        tokio::select! {
            _ = figures.tick() => {
                metrics::install().run_upkeep();
                if app.now_ms() >= upkeep_ms {
                    let (config, now_ms) = (app.config.clone(), app.now_ms());
                    if blocking(move || nightly_work(&app)).await {
                        upkeep_ms = upkeep_after(&config, now_ms);
                    }
                }
            }
            _ = hourly.tick() => blocking(move || hourly_work(&app)).await,
        }
    }
}

/// When the next upkeep is due after `now_ms`, both server time: at the configured hour of the company's day, or where a change of the clocks
/// skips it, at the first moment behind it.
fn upkeep_after(config: &Config, now_ms: i64) -> i64 {
    let next = || {
        let now = Timestamp::from_millisecond(now_ms).ok()?.to_zoned(config.timezone.clone());
        let on = |day: Date| day.at(config.upkeep_hour, 0, 0, 0).to_zoned(config.timezone.clone()).ok();
        let today = on(now.date())?;
        if today > now { Some(today) } else { on(now.date().tomorrow().ok()?) }
    };
    // A clock that stands beyond every calendar is asked again in a day.
    next().map_or(now_ms.saturating_add(DAY.as_millis() as i64), |next| next.timestamp().as_millisecond())
}

fn hourly_work(app: &App) {
    if let Err(error) = app.auth.maintain(app.now_ms(), &mut Entropy::from_system()) {
        tracing::error!(%error, "sign-in was not maintained");
    }
    let keep = DAY * app.config.evidence_keep_partial_days;
    match app.evidence.sweep(SystemTime::now(), keep) {
        Ok(0) => {}
        Ok(removed) => tracing::info!(removed, "unfinished uploads were removed"),
        Err(error) => tracing::error!(%error, "unfinished uploads were not swept"),
    }
}

/// Whether it was done: while a backup copies the store it has to wait.
fn nightly_work(app: &App) -> bool {
    let _alone = match app.whole_store.try_lock() {
        Ok(alone) => alone,
        Err(TryLockError::Poisoned(alone)) => alone.into_inner(),
        Err(TryLockError::WouldBlock) => return false,
    };
    let keep_ms = DAY.as_millis() as i64 * i64::from(app.config.held_keep_days);
    match app.company.clear_held(app.now_ms() - keep_ms) {
        Ok(0) => {}
        Ok(cleared) => tracing::info!(cleared, "held work that was decided long ago was cleared"),
        Err(error) => tracing::error!(%error, "held work was not cleared"),
    }
    match app.engine.maintain() {
        Ok(done) => tracing::info!(
            file_bytes = done.file_bytes,
            live_bytes = done.live_bytes,
            "the store was maintained"
        ),
        Err(error) => tracing::error!(%error, "the store was not maintained"),
    }
    true
}

#[cfg(test)]
mod tests;

const HEADER_TIMEOUT: Duration = Duration::from_secs(20);
const FIGURES_EVERY: Duration = Duration::from_secs(10);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
