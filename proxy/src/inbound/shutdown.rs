//! Whether and why this process shuts down. `process` starts the shutdown; connections watch it, to close in time.

use std::time::Duration;

use pingora::server::ShutdownWatch;
use tokio::sync::watch;

/// Why this process shuts down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShutdownReason {
    /// A signal. A supervisor or an operator waits for the process to exit.
    Signal,
    /// A new process has taken over the listeners, so this one may take its time.
    Upgrade,
}

impl ShutdownReason {
    /// How long an idle connection stays open, so that a request in flight gets a response instead of a reset.
    fn idle_timeout(self) -> Duration {
        match self {
            Self::Signal => Duration::from_secs(1),
            Self::Upgrade => Duration::from_secs(10),
        }
    }

    /// How long the process keeps running without open connections. A connection is counted only after its TLS
    /// handshake, so a new one may not be counted yet.
    pub(crate) fn linger_time(self, tls: bool) -> Duration {
        match self {
            Self::Signal if tls => Duration::from_secs(1),
            Self::Signal => Duration::from_millis(100),
            Self::Upgrade => Duration::from_secs(3),
        }
    }
}

/// The shutdown state of this process.
pub(crate) struct Shutdown(watch::Sender<Option<ShutdownReason>>);

impl Default for Shutdown {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Shutdown {
    /// Starts the shutdown. If it has already started, its reason does not change.
    pub(crate) fn request(&self, new_reason: ShutdownReason) {
        // A signal after an upgrade does not change the timeouts of connections that are already closing.
        self.0.send_if_modified(|reason| reason.replace(reason.unwrap_or(new_reason)).is_none());
    }

    /// The reason, if the shutdown has started.
    pub(crate) fn reason(&self) -> Option<ShutdownReason> {
        *self.0.borrow()
    }

    /// Waits until the shutdown starts.
    pub(crate) async fn wait(&self) -> ShutdownReason {
        let mut reason = self.0.subscribe();
        let stop_reason = reason.wait_for(Option::is_some).await.ok().and_then(|why| *why);
        stop_reason.unwrap_or(ShutdownReason::Signal)
    }

    /// How long an idle connection stays open after the listeners have closed.
    pub(crate) fn idle_timeout(&self) -> Duration {
        self.reason().unwrap_or(ShutdownReason::Signal).idle_timeout()
    }
}

/// Waits until the listeners close.
pub(crate) async fn wait_until_stopped(shutdown: &mut ShutdownWatch) {
    // An error means that the sender was dropped together with the server, which is a shutdown too.
    let _ = shutdown.wait_for(|is_closing| *is_closing).await;
}
