//! Ctrl-C during an examination: the first one stops it and starts the cleanup, the second one stops the cleanup too.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Counts the termination signals.
pub(super) struct InterruptSignal {
    interrupts: watch::Receiver<u32>,
}

impl InterruptSignal {
    /// Listens for SIGINT and SIGTERM.
    pub(super) fn listen() -> Self {
        let (sender, interrupts) = watch::channel(0_u32);
        tokio::spawn(async move {
            let (Ok(mut int), Ok(mut term)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            loop {
                tokio::select! {
                    _ = int.recv() => {}
                    _ = term.recv() => {}
                }
                sender.send_modify(|times| *times = times.saturating_add(1));
            }
        });
        Self { interrupts }
    }

    /// Whether a signal has arrived.
    pub(super) fn is_interrupted(&self) -> bool {
        *self.interrupts.borrow() > 0
    }

    /// Waits until this number of signals has arrived.
    pub(super) async fn wait_for_interrupts(&self, times: u32) {
        let mut interrupts = self.interrupts.clone();
        if interrupts.wait_for(|count| *count >= times).await.is_err() {
            // Without the signal handlers nothing can interrupt the examination.
            std::future::pending::<()>().await;
        }
    }
}
