//! The translation, written once: no name of a vendor stands here.

pub mod auth;
