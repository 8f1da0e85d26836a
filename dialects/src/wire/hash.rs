//! Digests and comparison.

use subtle::ConstantTimeEq as _;

/// Whether two byte strings are equal, in a time that tells nothing of where they differ.
pub fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}
