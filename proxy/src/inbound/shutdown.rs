//! Whether this process stops serving, and why. Connections have it, to close in time; `process` decides.

use std::time::Duration;

use pingora_core::server::ShutdownWatch;
use tokio::sync::watch;

/// Why this process stops serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownReason {
    /// A signal. Somebody waits for the process to end.
    Signal,
    /// Another process has its listeners. Nobody waits.
    Upgrade,
}

impl ShutdownReason {
    /// How long an idle connection is kept, so that a request that is on its way meets a response instead of a reset.
    fn idle_timeout(self) -> Duration {
        match self {
            Self::Signal => Duration::from_secs(1),
            Self::Upgrade => Duration::from_secs(10),
        }
    }

    /// How long the process stays when there is no connection: one that has just been accepted, or is still in its TLS
    /// handshake, is not counted yet.
    pub fn linger_time(self, tls: bool) -> Duration {
        match self {
            Self::Signal if tls => Duration::from_secs(1),
            Self::Signal => Duration::from_millis(100),
            Self::Upgrade => Duration::from_secs(3),
        }
    }
}

/// Whether this process stops serving, and why.
pub struct Shutdown(watch::Sender<Option<ShutdownReason>>);

impl Default for Shutdown {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Shutdown {
    /// Begins the shutdown. The first reason stays.
    pub fn request(&self, new_reason: ShutdownReason) {
        self.0.send_if_modified(|reason| reason.replace(reason.unwrap_or(new_reason)).is_none());
    }

    /// The reason, once it has begun.
    pub fn reason(&self) -> Option<ShutdownReason> {
        *self.0.borrow()
    }

    /// Waits until it begins.
    pub async fn wait(&self) -> ShutdownReason {
        let mut reason = self.0.subscribe();
        let stop_reason = reason.wait_for(Option::is_some).await.ok().and_then(|why| *why);
        stop_reason.unwrap_or(ShutdownReason::Signal)
    }

    /// How long an idle connection is kept once the listeners close.
    pub fn idle_timeout(&self) -> Duration {
        self.reason().unwrap_or(ShutdownReason::Signal).idle_timeout()
    }
}

/// Waits until the listeners close.
pub async fn wait_until_stopped(shutdown: &mut ShutdownWatch) {
    // The sender lives as long as the server: without it nothing could announce the end any more.
    let _ = shutdown.wait_for(|is_closing| *is_closing).await;
}
