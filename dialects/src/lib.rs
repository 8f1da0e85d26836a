//! The dialects of object storage, and the translation between them.
//!
//! Pure: no IO, clock, environment, threads or runtime. A request head comes in as bytes, what to send and
//! what to tell comes out as values; time and keys are arguments. `model` holds the canonical types, `engine`
//! the translation that is written once and names no vendor, `wire` vendor-free helpers, and each remaining
//! folder one dialect with the same file names.

pub mod cos;
pub mod engine;
pub mod jdcloud;
pub mod model;
pub mod oss;
pub mod s3;
pub mod wire;
