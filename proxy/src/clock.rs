//! The only module that reads the time of day and random numbers for request IDs from the system.

#![allow(clippy::disallowed_methods, reason = "all other modules read the time through this module")]

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

/// 128 random bits for request IDs. IDs need only be unique, so a system without a random source falls back to the
/// time.
pub(crate) fn random() -> u128 {
    let mut bytes = [0_u8; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u128::from_ne_bytes(bytes),
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos()),
    }
}
