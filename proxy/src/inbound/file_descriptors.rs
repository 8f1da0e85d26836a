//! Open files of this process. Every connection is one, and where there are no more, whoever connects waits for ever: so
//! callers get no more of them than there are.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files, listeners, the log, a reload, the embedded store's own.
const RESERVED_DESCRIPTORS: usize = 64;

/// Connections that wait for their next request, all targets together.
const POOLED_CONNECTIONS_MAX: usize = 1024;

/// More than any configuration needs; some systems allow numbers for which other programs reserve tables.
const DESCRIPTORS_WANTED: u64 = 1_048_576;

/// What this process may have open.
static DESCRIPTOR_LIMIT: OnceLock<usize> = OnceLock::new();

/// Raises the limit as far as the system lets this process, and gives it.
pub fn raise_descriptor_limit() -> usize {
    *DESCRIPTOR_LIMIT.get_or_init(|| {
        let limits = getrlimit(Resource::Nofile);
        // None is no limit.
        let (soft, hard) =
            (limits.current.unwrap_or(DESCRIPTORS_WANTED), limits.maximum.unwrap_or(DESCRIPTORS_WANTED));
        let wanted = hard.min(DESCRIPTORS_WANTED);
        let raised = soft < wanted
            && setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limits.maximum }).is_ok();
        usize::try_from(if raised { wanted } else { soft }).unwrap_or(usize::MAX)
    })
}

/// Connections to targets that may wait for their next request.
pub fn pool_size() -> usize {
    pool_size_for(raise_descriptor_limit())
}

fn pool_size_for(limit: usize) -> usize {
    POOLED_CONNECTIONS_MAX.min(limit / 8)
}

/// Connections of callers that there is room for: each may need one to a target.
pub fn client_connections_max() -> usize {
    client_connections_max_for(raise_descriptor_limit())
}

fn client_connections_max_for(limit: usize) -> usize {
    (limit.saturating_sub(RESERVED_DESCRIPTORS).saturating_sub(pool_size_for(limit)) / 2).max(1)
}

/// What to tell the operator where there are fewer than the configuration allows callers.
pub fn descriptor_limit_warning(connections_max: usize) -> Option<String> {
    let (limit, room) = (raise_descriptor_limit(), client_connections_max());
    (room < connections_max).then(|| {
        format!(
            "this process may have {limit} open files: callers get {room} connections at once, fewer than \
             connections_max = {connections_max} (ulimit -n, or LimitNOFILE of its unit)"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_both_ends() {
        for limit in [1, 64, 100, 256, 1024, 4096, 65_536, 1_048_576] {
            let callers = client_connections_max_for(limit);
            assert!(callers >= 1);
            assert!(
                callers == 1 || 2 * callers + pool_size_for(limit) + RESERVED_DESCRIPTORS <= limit,
                "{limit}"
            );
        }
        assert_eq!(client_connections_max_for(1024), 416);
        assert_eq!(pool_size_for(1_048_576), POOLED_CONNECTIONS_MAX);
    }

    #[test]
    fn the_limit_is_raised() {
        let limit = raise_descriptor_limit();
        assert_eq!(
            getrlimit(Resource::Nofile).current.and_then(|now| usize::try_from(now).ok()),
            Some(limit)
        );
    }
}
