//! Limits the allocations of six requests, so that a change which makes every request more expensive is noticed on any
//! machine. The limits are in `costs.txt`, which `UPDATE=1 cargo test -p blobfish-dialects --test allocations` rewrites.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../benches/costs/mod.rs"]
mod costs;
#[path = "../benches/requests/mod.rs"]
mod requests;

use requests::SampleRequest;

#[test]
fn requests_do_not_allocate_more_than_before() {
    let count_allocations = |name: &str| {
        let sample = SampleRequest::load(name);
        // The first request also initializes statics.
        drop(sample.process());
        allocation_counter::measure(|| drop(sample.process())).count_total
    };
    let measured = requests::NAMES.map(|name| (name, count_allocations(name)));
    costs::compare("allocations", &measured);
}
