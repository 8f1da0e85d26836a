//! The translation between dialects: requests, responses, emulation, relays, small parts. It is written once and
//! names no vendor; what differs between vendors is in their tables.
//!
//! Uses: `model`, `encoding`, `dialect`, `documents`.

pub mod body_verifier;
pub mod conditions;
pub mod copy_source;
pub mod cors;
pub mod crc64;
pub mod diagnosis;
pub mod emulation;
pub mod encoded_words;
pub mod exchange;
pub mod loss;
pub mod plan;
pub mod read_request;
pub mod read_response;
pub mod relay;
pub mod request_documents;
pub mod small_parts;
pub mod streaming;
pub mod target_response;
pub mod validate_response;
pub mod write_request;
pub mod write_response;
