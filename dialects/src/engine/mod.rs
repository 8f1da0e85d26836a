//! The translation, written once: no name of a vendor stands here.

pub mod auth;

pub mod accept;
pub mod access;
pub mod answer;
pub mod bodies;
pub mod body;
pub mod buckets;
pub mod conditions;
pub mod cors;
pub mod crc64;
pub mod credential;
pub mod deletes;
pub mod diagnosis;
pub mod dialect;
pub mod documents;
pub mod emulate;
pub mod etag;
pub mod exchange;
pub mod form;
pub mod hosts;
pub mod listing;
pub mod loss;
pub mod pages;
pub mod policy;
pub mod read;
pub mod relay;
pub mod settings;
pub mod sound;
pub mod stream;
pub mod tell;
pub mod way;
pub mod words;
pub mod write;
