//! Keeps the issued credentials of all targets fresh, in the background.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::access::DynAccess;
use async_trait::async_trait;
use pingora_core::server::ShutdownWatch;
use pingora_core::services::background::BackgroundService;
use tokio::time::sleep;

use crate::target::credential_fetch::build_provider_context;
use crate::target::runtime::TargetRuntime;

/// How often it is checked whether credentials are due.
const DUE_CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// The targets of the active configuration. It is this part only, so that nothing here depends on the rest.
pub type ActiveTargets = Arc<dyn DynAccess<Vec<TargetRuntime>> + Send + Sync>;

/// Refreshes the issued credentials of all targets.
pub struct CredentialRefresher {
    targets: ActiveTargets,
}

impl CredentialRefresher {
    /// For these targets; a reload replaces them.
    pub fn new(targets: ActiveTargets) -> Self {
        Self { targets }
    }
}

#[async_trait]
impl BackgroundService for CredentialRefresher {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let provider_context = build_provider_context();
        loop {
            for issued in self.targets.load().iter().filter_map(|target| target.issued_key.as_ref()) {
                issued.renew_if_due(&provider_context);
            }
            tokio::select! {
                _ = shutdown.wait_for(|stopping| *stopping) => return,
                () = sleep(DUE_CHECK_INTERVAL) => {}
            }
        }
    }
}
