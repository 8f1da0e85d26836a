//! The initiator of requests to targets. The circuit breaker and the buffer budget need it far down the call stack, so
//! it is a task-local value, like the trace context.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

tokio::task_local! {
    static CURRENT_INITIATOR: Initiator;
}

/// The initiator of a request to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Initiator {
    /// A caller with a verified signature, by the hash of its name.
    Caller(u64),
    /// An anonymous client, or an unknown initiator.
    #[default]
    Unauthenticated,
    /// The proxy itself, for a request that no caller has signed, such as reading a bucket's CORS rules.
    Proxy,
}

impl Initiator {
    /// The caller with this name.
    pub(crate) fn from_caller_name(name: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        Self::Caller(hasher.finish())
    }
}

/// Runs work for an initiator.
pub(crate) async fn with_initiator<T>(initiator: Initiator, work: impl Future<Output = T>) -> T {
    CURRENT_INITIATOR.scope(initiator, work).await
}

/// The initiator of the current work.
pub(crate) fn current_initiator() -> Initiator {
    CURRENT_INITIATOR.try_with(|initiator| *initiator).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_innermost_initiator_applies() {
        assert_eq!(current_initiator(), Initiator::Unauthenticated);
        let (outer, inner) = (Initiator::from_caller_name("a"), Initiator::from_caller_name("b"));
        assert_ne!(outer, inner);
        with_initiator(outer, async {
            assert_eq!(current_initiator(), outer);
            with_initiator(Initiator::Proxy, async { assert_eq!(current_initiator(), Initiator::Proxy) })
                .await;
            assert_eq!(current_initiator(), outer);
        })
        .await;
    }
}
