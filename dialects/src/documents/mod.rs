//! XML documents of requests, responses and settings: conversion between the canonical form and a dialect.
//!
//! Uses: `model`, `encoding`, `dialect`.

pub mod acl_documents;
pub mod bucket_pages;
pub mod delete_objects;
pub mod elements;
pub mod listing;
pub mod response_documents;
pub mod settings_documents;
pub mod version_listing;
