//! What a supervisor such as systemd is told of this process, where there is one (`NOTIFY_SOCKET`).

use sd_notify::NotifyState;
use tokio::time::sleep;

/// Requests are served.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is being read again; [`ready`] ends that.
pub fn reloading() {
    // systemd tells by the time whether this answers its question.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the supervisor cannot be told the time"),
    }
}

/// This process ends, as it was told to.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Another process is the one to watch from now on.
pub fn main_pid(pid: u32) {
    tell(&[NotifyState::MainPid(pid)]);
}

/// Says again and again that this process lives, where the supervisor wants to hear that.
pub async fn watchdog() {
    let Some(period) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    loop {
        tell(&[NotifyState::Watchdog]);
        sleep(period / 3).await;
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the supervisor cannot be told");
    }
}
