//! On whose behalf a target is asked. What a target answers is judged by it, and memory is given by it, far below the place
//! where it is known; so it goes along with the work, as traces do.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

tokio::task_local! {
    static CURRENT_INITIATOR: Initiator;
}

/// Who wants an answer of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Initiator {
    /// A caller whose signature was verified, by its name's digest.
    Caller(u64),
    /// Somebody of whom nothing is proven, or nobody in particular.
    #[default]
    Unauthenticated,
    /// We ourselves, for a question that nobody signed, such as a bucket's CORS rules.
    Proxy,
}

impl Initiator {
    /// A caller, by its name.
    pub fn from_caller_name(name: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        Self::Caller(hasher.finish())
    }
}

/// Does work on somebody's behalf.
pub async fn with_initiator<T>(initiator: Initiator, work: impl Future<Output = T>) -> T {
    CURRENT_INITIATOR.scope(initiator, work).await
}

/// On whose behalf this work is done.
pub fn current_initiator() -> Initiator {
    CURRENT_INITIATOR.try_with(|initiator| *initiator).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_inner_one_counts() {
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
