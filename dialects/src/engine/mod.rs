//! The translation, written once: no name of a vendor stands here.

pub mod auth;

pub mod accept;
pub mod answer;
pub mod body;
pub mod conditions;
pub mod credential;
pub mod dialect;
pub mod documents;
pub mod etag;
pub mod exchange;
pub mod hosts;
pub mod listing;
pub mod loss;
pub mod read;
pub mod stream;
pub mod tell;
pub mod way;
pub mod write;
