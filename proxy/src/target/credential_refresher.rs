//! Renews the temporary credentials of all targets in the background.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::access::DynAccess;
use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use tokio::time::sleep;

use crate::target::credential_fetch::build_provider_context;
use crate::target::runtime::TargetRuntime;

/// How often the credentials are checked for renewal.
const DUE_CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// The targets of the active configuration, and only these, so that this module does not depend on the rest of it.
pub(crate) type ActiveTargets = Arc<dyn DynAccess<Vec<TargetRuntime>> + Send + Sync>;

/// The service that renews the temporary credentials of all targets.
pub(crate) struct CredentialRefresher {
    targets: ActiveTargets,
}

impl CredentialRefresher {
    /// Creates the service for these targets, which a reload replaces.
    pub(crate) fn new(targets: ActiveTargets) -> Self {
        Self { targets }
    }
}

#[async_trait]
impl BackgroundService for CredentialRefresher {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let provider_context = build_provider_context();
        // Reads the targets anew each time, so that a reload takes effect here too.
        loop {
            for issued in self.targets.load().iter().filter_map(|target| target.issued_credentials.as_ref()) {
                issued.renew_if_due(&provider_context);
            }
            tokio::select! {
                _ = shutdown.wait_for(|stopping| *stopping) => return,
                () = sleep(DUE_CHECK_INTERVAL) => {}
            }
        }
    }
}
