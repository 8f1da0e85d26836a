//! Lookups in the configuration that requests need: routes, callers, grants.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::config::{Access, BucketRule, Caller, CallerKey, Config, Grant, GrantAccess, Listeners, Target};

/// The route of a bucket: its rule and its target.
#[derive(Debug, Clone)]
pub struct Route<'a> {
    /// The rule that matched.
    pub rule: &'a BucketRule,
    /// The target of the rule.
    pub target: &'a Target,
    /// Its index in [`Config::targets`].
    pub target_index: usize,
    /// The name of the bucket at the target.
    pub target_bucket: Cow<'a, str>,
}

impl Listeners {
    /// Whether a peer is a trusted proxy. An IPv4-mapped IPv6 address counts as IPv4, because dual-stack sockets
    /// report it.
    #[must_use]
    pub fn is_trusted_proxy(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted_proxies.iter().any(|network| network.contains(&peer))
    }
}

impl Config {
    /// The route of a bucket: the exact name first, then the pattern with the longest prefix (among those, the longest
    /// suffix), `*` last. Takes time linear in the number of rules.
    #[must_use]
    pub fn route<'a>(&'a self, bucket: &'a str) -> Option<Route<'a>> {
        // A linear search is fast enough: configurations have tens of rules, and each request does this once.
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

    /// The name that clients use for a bucket of a target; the first in the file if there are several. `None` if no
    /// name is routed to it. The returned name is always routed to exactly this bucket.
    #[must_use]
    pub fn find_client_bucket_name(&self, target_index: usize, target_bucket: &str) -> Option<String> {
        let is_routed_here = |name: &str| {
            self.route(name).is_some_and(|route| {
                route.target_index == target_index && route.target_bucket == target_bucket
            })
        };
        let exact =
            self.buckets.iter().filter_map(|rule| rule.name.exact()).find(|name| is_routed_here(name));
        // A pattern keeps the name, so the only other possible name is the bucket's own.
        exact.or_else(|| is_routed_here(target_bucket).then_some(target_bucket)).map(str::to_owned)
    }

    /// The caller with this access key ID, and that key. Takes time linear in the number of keys.
    #[must_use]
    pub fn find_caller(&self, access_key: &str) -> Option<(&Caller, &CallerKey)> {
        let keys = self.callers.iter().flat_map(|caller| caller.keys.iter().map(move |key| (caller, key)));
        keys.into_iter().find(|(_, key)| key.access_key == access_key)
    }
}

impl Caller {
    /// Whether a grant allows this access to a bucket, by the name that clients use.
    #[must_use]
    pub fn can_access(&self, bucket: &str, access: Access) -> bool {
        let allows =
            |grant: &Grant| grant.access.allows(access) && grant.buckets.iter().any(|b| b.matches(bucket));
        self.grants.iter().any(allows)
    }

    /// Whether this caller may use a signature, by its name in [`crate::KnownDialect::signatures`].
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
