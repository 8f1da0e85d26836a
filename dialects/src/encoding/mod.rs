//! Helpers for bytes and text: percent-encoding, dates, digests, XML. They depend on no operation and no vendor.
//!
//! Uses: nothing.

pub mod date;
pub mod hash;
pub mod percent;
pub mod xml;
