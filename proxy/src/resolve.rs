//! From a target's host to addresses, without blocking and without asking anybody about this machine.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long an answer is believed. Short, as vendors move their front ends.
const LIFETIME: Duration = Duration::from_secs(10);

/// Hosts remembered at once: one per bucket in virtual-host style.
const HOSTS_MAX: usize = 4096;

/// The addresses that were found lately.
#[derive(Default)]
pub struct Resolver {
    found: Mutex<HashMap<(String, u16), Found>>,
}

/// An answer, and when it was given.
type Found = (Instant, Vec<SocketAddr>);

impl Resolver {
    /// The addresses of a host, in the order to be tried. Empty where there are none.
    pub async fn addresses(&self, host: &str, port: u16) -> Vec<SocketAddr> {
        if let Some(ip) = without_asking(host) {
            return vec![SocketAddr::new(ip, port)];
        }
        if let Some(known) = self.remembered(host, port) {
            return known;
        }
        // The system's resolver, which tokio runs on its own threads.
        let found: Vec<SocketAddr> =
            tokio::net::lookup_host((host, port)).await.map(Iterator::collect).unwrap_or_default();
        if !found.is_empty() {
            self.remember(host, port, &found);
        }
        found
    }

    fn remembered(&self, host: &str, port: u16) -> Option<Vec<SocketAddr>> {
        let found = self.found.lock().ok()?;
        let (at, addresses) = found.get(&(host.to_owned(), port))?;
        (at.elapsed() < LIFETIME).then(|| addresses.clone())
    }

    fn remember(&self, host: &str, port: u16, addresses: &[SocketAddr]) {
        let Ok(mut found) = self.found.lock() else { return };
        if found.len() >= HOSTS_MAX {
            found.retain(|_, (at, _)| at.elapsed() < LIFETIME);
        }
        if found.len() < HOSTS_MAX {
            found.insert((host.to_owned(), port), (Instant::now(), addresses.to_vec()));
        }
    }
}

/// Addresses that are written as such, and `localhost` with everything below it (RFC 6761, section 6.3).
fn without_asking(host: &str) -> Option<IpAddr> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse() {
        return Some(ip);
    }
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    (name == "localhost" || name.ends_with(".localhost")).then_some(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_without_asking() {
        let local = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert_eq!(without_asking("localhost"), local);
        assert_eq!(without_asking("b.s3.LOCALHOST."), local);
        assert_eq!(without_asking("10.0.0.1"), "10.0.0.1".parse().ok());
        assert_eq!(without_asking("[::1]"), "::1".parse().ok());
        assert_eq!(without_asking("localhost.example"), None);
        assert_eq!(without_asking("notlocalhost"), None);
    }
}
