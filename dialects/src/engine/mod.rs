//! The translation, written once and without the name of a vendor: requests, responses, emulation, relays, small parts.
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
