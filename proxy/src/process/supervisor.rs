//! What a supervisor such as systemd is told of this process, where there is one (`NOTIFY_SOCKET`).

use sd_notify::NotifyState;
use tokio::time::sleep;

/// Requests are served.
pub fn notify_ready() {
    notify(&[NotifyState::Ready]);
}

/// The configuration is being read again; [`ready`] ends that.
pub fn notify_reloading() {
    // systemd tells by the time whether this answers its question.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the supervisor cannot be told the time"),
    }
}

/// This process ends, as it was told to.
pub fn notify_stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Another process is the one to watch from now on.
pub fn notify_main_pid(pid: u32) {
    notify(&[NotifyState::MainPid(pid)]);
}

/// Says again and again that this process lives, where the supervisor wants to hear that.
pub async fn run_watchdog() {
    let Some(period) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    loop {
        notify(&[NotifyState::Watchdog]);
        sleep(period / 3).await;
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the supervisor cannot be told");
    }
}
