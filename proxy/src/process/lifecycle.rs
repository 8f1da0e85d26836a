//! How the process begins and ends: ready once the listeners stand, not ready as soon as it is told to stop, and over
//! once the last request is.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use futures_util::future::OptionFuture;
use pingora_core::server::{ShutdownSignal, ShutdownSignalWatch, ShutdownWatch};
use pingora_core::services::background::BackgroundService;
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

/// The framework begins to accept within this, or never.
const STARTUP_TIME_MAX: Duration = Duration::from_secs(10);

/// How often it is looked whether the last connection is closed.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// What ends the process: SIGTERM, SIGINT, or a process that took over.
pub struct ShutdownTrigger {
    /// Where the reason is written down.
    pub shutdown: Arc<Shutdown>,
    /// What `/readyz` answers.
    pub ready: Arc<watch::Sender<bool>>,
    /// What is configured.
    pub current: Arc<ArcSwap<ActiveConfig>>,
}

#[async_trait]
impl ShutdownSignalWatch for ShutdownTrigger {
    async fn recv(&self) -> ShutdownSignal {
        let Ok(mut signals) = TerminationSignals::new() else {
            tracing::error!("signals cannot be received");
            return ShutdownSignal::FastShutdown;
        };
        tokio::select! {
            () = signals.next() => self.shutdown.request(ShutdownReason::Signal),
            _ = self.shutdown.wait() => {}
        }
        // A process that has handed over says nothing of readiness: who asks it has asked the new one as well.
        if self.shutdown.reason() == Some(ShutdownReason::Signal) {
            self.ready.send_replace(false);
            supervisor::notify_stopping();
            let delay = self.current.load().settings.limits.stop_delay;
            tracing::info!("stopping: not ready, and not listening any more in {} seconds", delay.as_secs());
            tokio::select! {
                () = sleep(delay) => {}
                // Whoever asks twice does not want to wait.
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

/// Tells when the listeners stand, and ends the process once all is drained.
pub struct Lifecycle {
    /// What `/readyz` answers.
    pub ready: Arc<watch::Sender<bool>>,
    /// Whether and why it ends.
    pub shutdown: Arc<Shutdown>,
    /// What is configured.
    pub current: Arc<ArcSwap<ActiveConfig>>,
    /// Connections that are open.
    pub open_connections: Arc<AtomicUsize>,
    /// How many services accept connections.
    pub accepting_services: Arc<watch::Sender<usize>>,
    /// How many there are.
    pub services_total: usize,
    /// Their sockets.
    pub sockets: Arc<Sockets>,
    /// Says that the admin listener is to close.
    pub close_admin: watch::Sender<bool>,
    /// What a demo tells whoever started it.
    pub greeting: Option<String>,
}

#[async_trait]
impl BackgroundService for Lifecycle {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let control = match self.wait_until_ready().await {
            Ok(control) => control,
            Err(error) => {
                tracing::error!("cannot serve: {error:#}");
                let _ = upgrade::notify_predecessor(&format!("{error:#}"));
                access_log::flush();
                std::process::exit(1);
            }
        };
        let successor = tokio::select! {
            biased; // So that a process which is being started is ended too.
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
    /// Waits until the listeners stand, and says so.
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
        // A process that takes over is presented to the supervisor by the one before: its own word counts only then.
        if !upgrade::notify_predecessor(upgrade::READY).context("the process before cannot be told")? {
            supervisor::notify_ready();
        }
        if let Some(greeting) = &self.greeting {
            let _ = std::io::stderr().write_all(greeting.as_bytes());
        }
        Ok(control)
    }

    /// Waits until the last connection is closed, or for as long as it may take.
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
        tracing::info!("draining: no new connections, requests that run have {} seconds", time.as_secs());
        let mut signals = TerminationSignals::new().ok();
        let mut started_at = Instant::now();
        let linger_until =
            started_at + reason.linger_time(!self.current.load().settings.listen.https.is_empty());
        let mut has_abandoned_copies = false;
        while self.open_connections.load(Ordering::Relaxed) > 0 || Instant::now() < linger_until {
            // Somebody waits after all: whoever tells it to stop, or a supervisor who learns only by the end of this
            // process that the new one, its child, is gone.
            let hurry = async {
                tokio::select! {
                    Some(()) = OptionFuture::from(signals.as_mut().map(TerminationSignals::next)) => {}
                    Some(()) = OptionFuture::from(successor.as_mut().map(Successor::wait_for_exit)) => {
                        tracing::error!("the process that took over is gone");
                    }
                    else => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep(POLL_INTERVAL) => {}
                () = hurry, if time > limits.drain => (started_at, time) = (Instant::now(), limits.drain),
            }
            if started_at.elapsed() > time {
                let cut = self.open_connections.load(Ordering::Relaxed);
                tracing::warn!("the time to drain is over: {cut} connections are cut");
                return;
            }
            // What copies began takes time to be taken back.
            if !has_abandoned_copies && started_at.elapsed() > time * 2 / 3 {
                has_abandoned_copies = true;
                RUNNING_COPIES.abandon_all();
            }
        }
    }
}
