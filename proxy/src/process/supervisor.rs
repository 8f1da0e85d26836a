//! Notifications to a supervisor such as systemd, if there is one (`NOTIFY_SOCKET`).

use sd_notify::NotifyState;
use tokio::time::sleep;

/// Notifies the supervisor that the process serves requests.
pub(crate) fn notify_ready() {
    notify(&[NotifyState::Ready]);
}

/// Notifies the supervisor that a reload has started. [`notify_ready`] ends it.
pub(crate) fn notify_reloading() {
    // With Type=notify-reload, systemd compares this timestamp with the time of its reload request.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => {
            tracing::warn!(%error, "cannot notify the supervisor of a reload: the monotonic clock cannot be read");
        }
    }
}

/// Notifies the supervisor that the process shuts down.
pub(crate) fn notify_stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Notifies the supervisor that another process is the main process from now on.
pub(crate) fn notify_main_pid(pid: u32) {
    notify(&[NotifyState::MainPid(pid)]);
}

/// Sends keep-alive notifications, if the supervisor has a watchdog.
pub(crate) async fn run_watchdog() {
    let Some(period) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    loop {
        notify(&[NotifyState::Watchdog]);
        // Three notifications per period, so that one late wakeup does not trigger the watchdog.
        sleep(period / 3).await;
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot notify the supervisor");
    }
}
