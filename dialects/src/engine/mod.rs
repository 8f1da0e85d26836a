//! The translation, written once: no name of a vendor stands here.

pub mod signature;

pub mod acl_documents;
pub mod addressing;
pub mod authenticate;
pub mod body_verifier;
pub mod bucket_pages;
pub mod conditions;
pub mod cors;
pub mod crc64;
pub mod credential;
pub mod delete_objects;
pub mod diagnosis;
pub mod dialect;
pub mod emulation;
pub mod encoded_words;
pub mod etag;
pub mod exchange;
pub mod form_upload;
pub mod listing;
pub mod loss;
pub mod policy;
pub mod read_request;
pub mod read_response;
pub mod relay;
pub mod request_documents;
pub mod response_documents;
pub mod route;
pub mod settings_documents;
pub mod small_parts;
pub mod streaming;
pub mod validate_response;
pub mod version_listing;
pub mod write_request;
pub mod write_response;
