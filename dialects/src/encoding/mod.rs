//! Helpers of the wire that know no vendor.

pub mod date;
pub mod hash;
pub mod percent;
pub mod xml;
