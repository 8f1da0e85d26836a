//! The lifecycle of the process: ready when the listeners are open, not ready when a shutdown begins, and finished
//! after the last request.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use futures_util::future::OptionFuture;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch, ShutdownWatch};
use pingora::services::background::BackgroundService;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::inbound::shutdown::{Shutdown, ShutdownReason, wait_until_stopped};
use crate::process::sockets::Sockets;
use crate::process::supervisor;
use crate::process::upgrade;
use crate::process::upgrade::{ControlSocket, Successor};
use crate::request::active_config::ActiveConfig;
use crate::request::running_copies::RUNNING_COPIES;
use crate::telemetry::{access_log, exporter};

/// Time limit for the listeners to accept connections after the start.
const STARTUP_TIME_MAX: Duration = Duration::from_secs(10);

/// How often the drain checks for open connections.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Starts the shutdown on SIGTERM, on SIGINT, or when a new process has taken over.
pub(crate) struct ShutdownWaiter {
    /// Where the reason is recorded.
    pub shutdown: Arc<Shutdown>,
    /// The state that `/readyz` returns.
    pub ready: Arc<watch::Sender<bool>>,
    /// The active configuration.
    pub current: Arc<ArcSwap<ActiveConfig>>,
}

#[async_trait]
impl ShutdownSignalWatch for ShutdownWaiter {
    async fn recv(&self) -> ShutdownSignal {
        let Ok(mut signals) = TerminationSignals::new() else {
            tracing::error!("cannot install a handler for termination signals; the process exits");
            return ShutdownSignal::FastShutdown;
        };
        tokio::select! {
            () = signals.next() => self.shutdown.request(ShutdownReason::Signal),
            _ = self.shutdown.wait() => {}
        }
        // After an upgrade the new process responds to health checks on the same socket, so only a signal changes
        // readiness.
        if self.shutdown.reason() == Some(ShutdownReason::Signal) {
            self.ready.send_replace(false);
            supervisor::notify_stopping();
            let delay = self.current.load().settings.limits.shutdown_delay;
            tracing::info!(
                "shutting down: the readiness check fails, and the listeners close in {} seconds",
                delay.as_secs()
            );
            tokio::select! {
                () = sleep(delay) => {}
                // A second signal skips the delay.
                () = signals.next() => {}
            }
        }
        ShutdownSignal::GracefulTerminate
    }
}

struct TerminationSignals {
    term: Signal,
    int: Signal,
}

impl TerminationSignals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}

/// Reports when the listeners are open, and ends the process after the drain.
pub(crate) struct Lifecycle {
    /// The state that `/readyz` returns.
    pub ready: Arc<watch::Sender<bool>>,
    /// Whether and why the process shuts down.
    pub shutdown: Arc<Shutdown>,
    /// The active configuration.
    pub current: Arc<ArcSwap<ActiveConfig>>,
    /// The number of open connections.
    pub open_connections: Arc<AtomicUsize>,
    /// The number of services that accept connections.
    pub accepting_services: Arc<watch::Sender<usize>>,
    /// The number of all services.
    pub services_total: usize,
    /// The listening sockets.
    pub sockets: Arc<Sockets>,
    /// Closes the admin listener.
    pub close_admin: watch::Sender<bool>,
    /// The text that demo mode prints.
    pub greeting: Option<String>,
}

#[async_trait]
impl BackgroundService for Lifecycle {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let control = match self.wait_until_ready().await {
            Ok(control) => control,
            Err(error) => {
                tracing::error!("the startup failed: {error:#}");
                let _ = upgrade::notify_predecessor(&format!("{error:#}"));
                access_log::flush();
                std::process::exit(1);
            }
        };
        let successor = tokio::select! {
            biased; // Polls the upgrade first, so that a shutdown also ends a process that is being started.
            successor = upgrade::wait_for_upgrade(control.as_ref(), &self.sockets, &self.shutdown) => Some(successor),
            () = wait_until_stopped(&mut shutdown) => None,
            () = supervisor::run_watchdog() => None,
        };
        wait_until_stopped(&mut shutdown).await;
        drop(control);
        self.drain_connections(successor).await;
        exporter::flush().await;
        tracing::info!("stopped");
        access_log::flush();
        std::process::exit(0);
    }
}

impl Lifecycle {
    /// Waits until the listeners are open, and reports that the process is ready.
    async fn wait_until_ready(&self) -> anyhow::Result<Option<ControlSocket>> {
        let mut accepting = self.accepting_services.subscribe();
        let all_accepting = accepting.wait_for(|standing| *standing == self.services_total);
        if timeout(STARTUP_TIME_MAX, all_accepting).await.is_err() {
            bail!("the listeners do not accept connections");
        }
        let path = self.current.load().settings.control.clone();
        let control = match &path {
            Some(path) => Some(ControlSocket::open(path).with_context(|| path.display().to_string())?),
            None => None,
        };
        self.ready.send_replace(true);
        tracing::info!("ready");
        // systemd accepts notifications only from the main process. After an upgrade the predecessor announces this
        // one.
        if !upgrade::notify_predecessor(upgrade::READY).context("cannot notify the predecessor")? {
            supervisor::notify_ready();
        }
        if let Some(greeting) = &self.greeting {
            let _ = std::io::stderr().write_all(greeting.as_bytes());
        }
        Ok(control)
    }

    /// Waits until the last connection is closed or the drain timeout has expired.
    async fn drain_connections(&self, mut successor: Option<Successor>) {
        let reason = self.shutdown.reason().unwrap_or(ShutdownReason::Signal);
        self.sockets.close();
        let limits = self.current.load().settings.limits.clone();
        let mut time = match reason {
            ShutdownReason::Signal => limits.drain,
            ShutdownReason::Upgrade => {
                self.close_admin.send_replace(true);
                limits.upgrade_drain
            }
        };
        tracing::info!(
            "draining: the listeners are closed, and running requests have {} seconds to finish",
            time.as_secs()
        );
        let mut signals = TerminationSignals::new().ok();
        let mut started_at = Instant::now();
        let linger_until =
            started_at + reason.linger_time(!self.current.load().settings.listen.https.is_empty());
        let mut has_abandoned_copies = false;
        while self.open_connections.load(Ordering::Relaxed) > 0 || Instant::now() < linger_until {
            // After an upgrade the drain may take long. A signal shortens it, and so does the exit of the new
            // process: a supervisor notices that exit only when this process, its parent, ends too.
            let hurry = async {
                tokio::select! {
                    Some(()) = OptionFuture::from(signals.as_mut().map(TerminationSignals::next)) => {}
                    Some(()) = OptionFuture::from(successor.as_mut().map(Successor::wait_for_exit)) => {
                        tracing::error!(
                            "the new process has exited during the drain, and no process accepts connections; this process \
                             exits within {} seconds, so that the supervisor can restart Blobfish",
                            limits.drain.as_secs()
                        );
                    }
                    else => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep(POLL_INTERVAL) => {}
                () = hurry, if time > limits.drain => (started_at, time) = (Instant::now(), limits.drain),
            }
            if started_at.elapsed() > time {
                let open = self.open_connections.load(Ordering::Relaxed);
                tracing::warn!("the drain timeout expired; {open} open connections are closed");
                return;
            }
            // Aborted copies need time to clean up what they wrote, so they are aborted before the timeout.
            if !has_abandoned_copies && started_at.elapsed() > time * 2 / 3 {
                has_abandoned_copies = true;
                RUNNING_COPIES.abandon_all();
            }
        }
    }
}
