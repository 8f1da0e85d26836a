//! Ctrl-C during an examination: the first one ends it and cleans up, the second one ends the cleaning as well.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Counts the signals that ask the doctor to stop.
pub struct InterruptSignal {
    interrupts: watch::Receiver<u32>,
}

impl InterruptSignal {
    /// Listens for SIGINT and SIGTERM.
    pub fn listen() -> Self {
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
    pub fn is_interrupted(&self) -> bool {
        *self.interrupts.borrow() > 0
    }

    /// Waits until so many signals have arrived.
    pub async fn wait_for_interrupts(&self, times: u32) {
        let mut interrupts = self.interrupts.clone();
        if interrupts.wait_for(|count| *count >= times).await.is_err() {
            // Without the signal handlers nothing can interrupt the examination.
            std::future::pending::<()>().await;
        }
    }
}
