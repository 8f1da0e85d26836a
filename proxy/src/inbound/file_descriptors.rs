//! The limit of open files. Every connection needs a file descriptor, and without a free one the process cannot even
//! accept a connection to reject it. So the number of client connections is limited to what the descriptors allow.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors for listeners, the log, a reload, and the files of the embedded store.
const RESERVED_DESCRIPTORS: usize = 64;

/// Maximum number of idle connections in the pool, over all targets.
const POOLED_CONNECTIONS_MAX: usize = 1024;

/// More than any configuration needs. Some systems allow far larger limits, and some programs allocate tables of that
/// size.
const DESCRIPTORS_WANTED: u64 = 1_048_576;

/// The limit of this process, read once.
static DESCRIPTOR_LIMIT: OnceLock<usize> = OnceLock::new();

/// Raises the soft limit as far as the hard limit allows, and returns it.
pub(crate) fn raise_descriptor_limit() -> usize {
    *DESCRIPTOR_LIMIT.get_or_init(|| {
        let limits = getrlimit(Resource::Nofile);
        // `None` means unlimited.
        let (soft, hard) =
            (limits.current.unwrap_or(DESCRIPTORS_WANTED), limits.maximum.unwrap_or(DESCRIPTORS_WANTED));
        let wanted = hard.min(DESCRIPTORS_WANTED);
        let raised = soft < wanted
            && setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limits.maximum }).is_ok();
        usize::try_from(if raised { wanted } else { soft }).unwrap_or(usize::MAX)
    })
}

/// The maximum number of idle connections to targets.
pub(crate) fn idle_target_connections_max() -> usize {
    pool_size_for(raise_descriptor_limit())
}

fn pool_size_for(limit: usize) -> usize {
    POOLED_CONNECTIONS_MAX.min(limit / 8)
}

/// The maximum number of client connections. Each may need a connection to a target as well, hence half.
pub(crate) fn client_connections_max() -> usize {
    client_connections_max_for(raise_descriptor_limit())
}

fn client_connections_max_for(limit: usize) -> usize {
    // Idle connections of the pool are not counted in these halves, because they belong to no client.
    (limit.saturating_sub(RESERVED_DESCRIPTORS).saturating_sub(pool_size_for(limit)) / 2).max(1)
}

/// The warning for the operator if the limit allows fewer client connections than the configuration.
pub(crate) fn descriptor_limit_warning(connections_max: usize) -> Option<String> {
    let (limit, room) = (raise_descriptor_limit(), client_connections_max());
    (room < connections_max).then(|| {
        format!(
            "the limit of open files is {limit}: it allows {room} client connections, fewer than \
             connections_max = {connections_max} (ulimit -n, or LimitNOFILE of its unit)"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_connection_leaves_a_descriptor_for_a_target() {
        for limit in [1, 64, 100, 256, 1024, 4096, 65_536, 1_048_576] {
            let clients = client_connections_max_for(limit);
            assert!(clients >= 1);
            assert!(
                clients == 1 || 2 * clients + pool_size_for(limit) + RESERVED_DESCRIPTORS <= limit,
                "{limit}"
            );
        }
        assert_eq!(client_connections_max_for(1024), 416);
        assert_eq!(pool_size_for(1_048_576), POOLED_CONNECTIONS_MAX);
    }

    #[test]
    fn the_soft_limit_is_raised() {
        let limit = raise_descriptor_limit();
        assert_eq!(
            getrlimit(Resource::Nofile).current.and_then(|now| usize::try_from(now).ok()),
            Some(limit)
        );
    }
}
