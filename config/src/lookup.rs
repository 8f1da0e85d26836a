//! The questions that are asked of a configuration while requests run.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::{Access, BucketRule, Caller, CallerKey, Config, GrantAccess, Listeners, Target};

/// Where a caller's bucket lives.
#[derive(Debug, Clone)]
pub struct Route<'a> {
    /// The rule that decided.
    pub rule: &'a BucketRule,
    /// The target it names.
    pub target: &'a Target,
    /// Its index in [`Config::targets`].
    pub target_index: usize,
    /// The bucket's name there.
    pub target_bucket: Cow<'a, str>,
}

impl Listeners {
    /// Whether a peer is one of the proxies in front. IPv4 counts in whichever form the system shows it.
    #[must_use]
    pub fn is_trusted_proxy(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted_proxies.iter().any(|network| network.contains(&peer))
    }
}

impl Config {
    /// Where a bucket lives: by its exact name first, then by the pattern with the longest prefix (among those,
    /// the longest suffix), `*` last. Linear in the number of rules.
    #[must_use]
    pub fn route<'a>(&'a self, bucket: &'a str) -> Option<Route<'a>> {
        let exact = self.buckets.iter().find(|rule| rule.name.exact() == Some(bucket));
        let find_closest = || {
            let candidates =
                self.buckets.iter().filter(|rule| rule.name.exact().is_none() && rule.name.matches(bucket));
            candidates.max_by_key(|rule| rule.name.specificity())
        };
        let rule = exact.or_else(find_closest)?;
        let target_bucket = Cow::Borrowed(rule.target_bucket.as_deref().unwrap_or(bucket));
        Some(Route { rule, target: self.targets.get(rule.target)?, target_index: rule.target, target_bucket })
    }

    /// What callers call a bucket of a target; the first name in the file where it has several. `None` where no
    /// name leads to it. A name given here always routes to this very bucket.
    #[must_use]
    pub fn find_caller_bucket(&self, target_index: usize, target_bucket: &str) -> Option<String> {
        let is_routed_here = |name: &str| {
            self.route(name).is_some_and(|route| {
                route.target_index == target_index && route.target_bucket == target_bucket
            })
        };
        let exact =
            self.buckets.iter().filter_map(|rule| rule.name.exact()).find(|name| is_routed_here(name));
        // A pattern keeps names, so the only other name that can lead here is the bucket's own.
        exact.or_else(|| is_routed_here(target_bucket).then_some(target_bucket)).map(str::to_owned)
    }

    /// The caller with this access key, and that key. Linear in the number of keys.
    #[must_use]
    pub fn find_caller(&self, access_key: &str) -> Option<(&Caller, &CallerKey)> {
        let keys = self.callers.iter().flat_map(|caller| caller.keys.iter().map(move |key| (caller, key)));
        keys.into_iter().find(|(_, key)| key.access_key == access_key)
    }
}

impl Caller {
    /// Whether a grant lets this caller do that with a bucket, as callers say its name.
    #[must_use]
    pub fn can_access(&self, bucket: &str, access: Access) -> bool {
        let allows = |grant: &crate::Grant| {
            grant.access.allows(access) && grant.buckets.iter().any(|b| b.matches(bucket))
        };
        self.grants.iter().any(allows)
    }

    /// Whether this caller may use a signature, by its word in [`crate::KnownDialect::signatures`].
    #[must_use]
    pub fn can_sign_with(&self, signature: &str) -> bool {
        self.signatures.iter().any(|word| word == signature)
    }
}

impl GrantAccess {
    fn allows(self, access: Access) -> bool {
        match self {
            Self::Read => access == Access::Read,
            Self::Write => access == Access::Write,
            Self::ReadWrite => matches!(access, Access::Read | Access::Write),
            Self::Admin => true,
        }
    }
}
