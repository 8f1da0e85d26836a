//! The translation, written once: no name of a vendor stands here.

pub mod body_verifier;
pub mod conditions;
pub mod cors;
pub mod crc64;
pub mod diagnosis;
pub mod dialect;
pub mod emulation;
pub mod encoded_words;
pub mod etag;
pub mod exchange;
pub mod loss;
pub mod plan;
pub mod read_request;
pub mod read_response;
pub mod relay;
pub mod route;
pub mod small_parts;
pub mod streaming;
pub mod validate_response;
pub mod write_request;
pub mod write_response;
