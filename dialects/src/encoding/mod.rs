//! Helpers for bytes and text: percent-encoding, dates, digests, XML. They know no operation and no vendor.
//!
//! Uses: nothing.

pub mod date;
pub mod hash;
pub mod percent;
pub mod xml;
