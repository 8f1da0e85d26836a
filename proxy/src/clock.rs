//! The only module that reads the time of day and random numbers for request IDs from the system.

#![allow(clippy::disallowed_methods, reason = "all other modules read the time through this module")]

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use blobfish_dialects::model::Timestamp;

/// The current time. A clock that is set before 1970 reads as 1970, where no signature is valid.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Timestamp(i64::try_from(since).unwrap_or(i64::MAX))
}

/// The current time in milliseconds, as the access log records it.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    u64::try_from(since).unwrap_or(u64::MAX)
}

thread_local! {
    /// Random bytes for the next request IDs of this thread, and how many of them are used.
    static RANDOM_BYTES: RefCell<([u8; RANDOM_BUFFER_BYTES], usize)> =
        const { RefCell::new(([0; RANDOM_BUFFER_BYTES], RANDOM_BUFFER_BYTES)) };
}

/// The random bytes that a thread reads in one system call.
const RANDOM_BUFFER_BYTES: usize = 1024;

/// 128 random bits for request IDs. IDs need only be unique, so a system without a random source falls back to the
/// time.
pub(crate) fn random() -> u128 {
    RANDOM_BYTES.with_borrow_mut(|(bytes, used)| {
        if *used >= bytes.len() && getrandom::fill(bytes).is_ok() {
            *used = 0;
        }
        let Some(next) = bytes.get(*used..).and_then(|unused| unused.first_chunk()) else {
            return SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        };
        *used = used.saturating_add(size_of::<u128>());
        u128::from_ne_bytes(*next)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn random_numbers_are_unique_beyond_a_buffer() {
        let numbers: HashSet<u128> = (0..1000).map(|_| random()).collect();
        assert_eq!(numbers.len(), 1000);
    }
}
