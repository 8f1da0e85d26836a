//! On whose behalf a target is asked. What a target answers is judged by it, and memory is given by it, far below the place
//! where it is known; so it goes along with the work, as traces do.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

tokio::task_local! {
    static BEHALF: Behalf;
}

/// Who wants an answer of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Behalf {
    /// A caller whose signature was verified, by its name's digest.
    Caller(u64),
    /// Somebody of whom nothing is proven, or nobody in particular.
    #[default]
    Anybody,
    /// We ourselves, for a question that nobody signed, such as a bucket's CORS rules.
    Aside,
}

impl Behalf {
    /// A caller, by its name.
    pub fn caller(name: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        Self::Caller(hasher.finish())
    }
}

/// Does work on somebody's behalf.
pub async fn within<T>(behalf: Behalf, work: impl Future<Output = T>) -> T {
    BEHALF.scope(behalf, work).await
}

/// On whose behalf this work is done.
pub fn current() -> Behalf {
    BEHALF.try_with(|behalf| *behalf).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_inner_one_counts() {
        assert_eq!(current(), Behalf::Anybody);
        let (outer, inner) = (Behalf::caller("a"), Behalf::caller("b"));
        assert_ne!(outer, inner);
        within(outer, async {
            assert_eq!(current(), outer);
            within(Behalf::Aside, async { assert_eq!(current(), Behalf::Aside) }).await;
            assert_eq!(current(), outer);
        })
        .await;
    }
}
