//! The XML documents of requests and responses, between the canonical form and a dialect.
//!
//! Uses: `model`, `encoding`, `engine`.

pub mod acl_documents;
pub mod bucket_pages;
pub mod common_settings;
pub mod delete_objects;
pub mod listing;
pub mod request_documents;
pub mod response_documents;
pub mod settings_documents;
pub mod version_listing;
