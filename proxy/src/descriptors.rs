//! Open files of this process. Every connection is one, and where there are no more, whoever connects waits for ever: so
//! callers get no more of them than there are.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files, listeners, the log, a reload, the embedded store's own.
const RESERVED: usize = 64;

/// Connections that wait for their next request, all targets together.
const POOL_MAX: usize = 1024;

/// More than any configuration needs; some systems allow numbers for which other programs reserve tables.
const WANTED: u64 = 1_048_576;

/// What this process may have open.
static LIMIT: OnceLock<usize> = OnceLock::new();

/// Raises the limit as far as the system lets this process, and gives it.
pub fn raise() -> usize {
    *LIMIT.get_or_init(|| {
        let limits = getrlimit(Resource::Nofile);
        // None is no limit.
        let (soft, hard) = (limits.current.unwrap_or(WANTED), limits.maximum.unwrap_or(WANTED));
        let wanted = hard.min(WANTED);
        let raised = soft < wanted
            && setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limits.maximum }).is_ok();
        usize::try_from(if raised { wanted } else { soft }).unwrap_or(usize::MAX)
    })
}

/// Connections to targets that may wait for their next request.
pub fn pool() -> usize {
    pool_of(raise())
}

fn pool_of(limit: usize) -> usize {
    POOL_MAX.min(limit / 8)
}

/// Connections of callers that there is room for: each may need one to a target.
pub fn callers() -> usize {
    callers_of(raise())
}

fn callers_of(limit: usize) -> usize {
    (limit.saturating_sub(RESERVED).saturating_sub(pool_of(limit)) / 2).max(1)
}

/// What to tell the operator where there are fewer than the configuration allows callers.
pub fn warning(connections_max: usize) -> Option<String> {
    let (limit, room) = (raise(), callers());
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
            let callers = callers_of(limit);
            assert!(callers >= 1);
            assert!(callers == 1 || 2 * callers + pool_of(limit) + RESERVED <= limit, "{limit}");
        }
        assert_eq!(callers_of(1024), 416);
        assert_eq!(pool_of(1_048_576), POOL_MAX);
    }

    #[test]
    fn the_limit_is_raised() {
        let limit = raise();
        assert_eq!(
            getrlimit(Resource::Nofile).current.and_then(|now| usize::try_from(now).ok()),
            Some(limit)
        );
    }
}
