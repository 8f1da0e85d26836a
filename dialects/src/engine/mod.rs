//! The translation, written once: no name of a vendor stands here.

pub mod auth;

pub mod dialect;
pub mod hosts;
pub mod loss;
pub mod read;
pub mod accept;
pub mod body;
pub mod documents;
pub mod exchange;
pub mod stream;
pub mod tell;
pub mod way;
