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

use crate::copies::COPIES;
use crate::handover::{self, Control, Successor};
use crate::snapshot::Snapshot;
use crate::sockets::Sockets;
use crate::{collector, log, supervisor};

/// The framework begins to accept within this, or never.
const LISTENERS_TIME_MAX: Duration = Duration::from_secs(10);

/// How often it is looked whether the last connection is closed.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Why this process stops serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It was told to stop. Somebody waits for its end.
    Told,
    /// Another process has its listeners. Nobody waits.
    HandedOver,
}

impl Why {
    /// How long an idle connection is kept, so that a request that is on its way meets an answer instead of a reset.
    fn patience(self) -> Duration {
        match self {
            Self::Told => Duration::from_secs(1),
            Self::HandedOver => Duration::from_secs(10),
        }
    }

    /// How long the process stays when there is no connection: one that has just been accepted, or still agrees on its
    /// keys, is not counted yet.
    fn stay(self, tls: bool) -> Duration {
        match self {
            Self::Told if tls => Duration::from_secs(1),
            Self::Told => Duration::from_millis(100),
            Self::HandedOver => Duration::from_secs(3),
        }
    }
}

/// Whether this process stops serving, and why.
pub struct Stop(watch::Sender<Option<Why>>);

impl Default for Stop {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Stop {
    /// From now on it does. The first reason stays.
    pub fn ask(&self, why: Why) {
        self.0.send_if_modified(|reason| reason.replace(reason.unwrap_or(why)).is_none());
    }

    /// The reason, if it does.
    pub fn why(&self) -> Option<Why> {
        *self.0.borrow()
    }

    /// Waits until it does.
    pub async fn asked(&self) -> Why {
        let mut reason = self.0.subscribe();
        let why = reason.wait_for(Option::is_some).await.ok().and_then(|why| *why);
        why.unwrap_or(Why::Told)
    }

    /// How long an idle connection is kept once the listeners close.
    pub fn patience(&self) -> Duration {
        self.why().unwrap_or(Why::Told).patience()
    }
}

/// What ends the process: SIGTERM, SIGINT, or a process that took over.
pub struct Ends {
    /// Where the reason is written down.
    pub stop: Arc<Stop>,
    /// What `/readyz` answers.
    pub ready: Arc<watch::Sender<bool>>,
    /// What is configured.
    pub current: Arc<ArcSwap<Snapshot>>,
}

#[async_trait]
impl ShutdownSignalWatch for Ends {
    async fn recv(&self) -> ShutdownSignal {
        let Ok(mut signals) = Signals::new() else {
            tracing::error!("signals cannot be received");
            return ShutdownSignal::FastShutdown;
        };
        tokio::select! {
            () = signals.next() => self.stop.ask(Why::Told),
            _ = self.stop.asked() => {}
        }
        // A process that has handed over says nothing of readiness: who asks it has asked the new one as well.
        if self.stop.why() == Some(Why::Told) {
            self.ready.send_replace(false);
            supervisor::stopping();
            let delay = self.current.load().config.limits.stop_delay;
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

struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
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
    pub stop: Arc<Stop>,
    /// What is configured.
    pub current: Arc<ArcSwap<Snapshot>>,
    /// Connections that are open.
    pub open: Arc<AtomicUsize>,
    /// How many services accept connections.
    pub standing: Arc<watch::Sender<usize>>,
    /// How many there are.
    pub services: usize,
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
        let control = match self.begin().await {
            Ok(control) => control,
            Err(error) => {
                tracing::error!("cannot serve: {error:#}");
                let _ = handover::tell_predecessor(&format!("{error:#}"));
                log::flush();
                std::process::exit(1);
            }
        };
        let successor = tokio::select! {
            biased; // So that a process which is being started is ended too.
            successor = handover::asked(control.as_ref(), &self.sockets, &self.stop) => Some(successor),
            () = is_true(&mut shutdown) => None,
            () = supervisor::watchdog() => None,
        };
        is_true(&mut shutdown).await;
        drop(control);
        self.end(successor).await;
        collector::flush().await;
        tracing::info!("stopped");
        log::flush();
        std::process::exit(0);
    }
}

async fn is_true(watch: &mut ShutdownWatch) {
    // An error means that nobody is left to say it.
    let _ = watch.wait_for(|value| *value).await;
}

impl Lifecycle {
    /// Waits until the listeners stand, and says so.
    async fn begin(&self) -> anyhow::Result<Option<Control>> {
        let mut standing = self.standing.subscribe();
        let all = standing.wait_for(|standing| *standing == self.services);
        if timeout(LISTENERS_TIME_MAX, all).await.is_err() {
            bail!("the listeners do not accept connections");
        }
        let path = self.current.load().config.control.clone();
        let control = match &path {
            Some(path) => Some(Control::open(path).with_context(|| path.display().to_string())?),
            None => None,
        };
        self.ready.send_replace(true);
        tracing::info!("ready");
        // A process that takes over is presented to the supervisor by the one before: its own word counts only then.
        if !handover::tell_predecessor(handover::READY).context("the process before cannot be told")? {
            supervisor::ready();
        }
        if let Some(greeting) = &self.greeting {
            let _ = std::io::stderr().write_all(greeting.as_bytes());
        }
        Ok(control)
    }

    /// Waits until the last connection is closed, or for as long as it may take.
    async fn end(&self, mut successor: Option<Successor>) {
        let why = self.stop.why().unwrap_or(Why::Told);
        self.sockets.close();
        let limits = self.current.load().config.limits.clone();
        let mut time = match why {
            Why::Told => limits.drain,
            Why::HandedOver => {
                self.close_admin.send_replace(true);
                limits.upgrade_drain
            }
        };
        tracing::info!("draining: no new connections, requests that run have {} seconds", time.as_secs());
        let mut signals = Signals::new().ok();
        let mut began = Instant::now();
        let stays_until = began + why.stay(!self.current.load().config.listen.https.is_empty());
        let mut called = false;
        while self.open.load(Ordering::Relaxed) > 0 || Instant::now() < stays_until {
            // Somebody waits after all: whoever tells it to stop, or a supervisor who learns only by the end of this
            // process that the new one, its child, is gone.
            let hurried = async {
                tokio::select! {
                    Some(()) = OptionFuture::from(signals.as_mut().map(Signals::next)) => {}
                    Some(()) = OptionFuture::from(successor.as_mut().map(Successor::is_gone)) => {
                        tracing::error!("the process that took over is gone");
                    }
                    else => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep(LOOK_EVERY) => {}
                () = hurried, if time > limits.drain => (began, time) = (Instant::now(), limits.drain),
            }
            if began.elapsed() > time {
                let cut = self.open.load(Ordering::Relaxed);
                tracing::warn!("the time to drain is over: {cut} connections are cut");
                return;
            }
            // What copies began takes time to be taken back.
            if !called && began.elapsed() > time * 2 / 3 {
                called = true;
                COPIES.abandon();
            }
        }
    }
}
