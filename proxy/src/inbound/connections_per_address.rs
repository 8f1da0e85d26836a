//! Limits the connections per client address, so that one client cannot use up all of them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The number of open connections per address.
#[derive(Debug, Default)]
pub(crate) struct ConnectionsPerAddress(Mutex<HashMap<IpAddr, usize>>);

impl ConnectionsPerAddress {
    /// Counts a connection for as long as the returned value exists. `None` if the address already has `max`.
    pub(crate) fn try_acquire(
        self: &Arc<Self>,
        address: IpAddr,
        connections_max: usize,
    ) -> Option<AddressConnectionPermit> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= connections_max {
            return None;
        }
        *count = count.saturating_add(1);
        Some(AddressConnectionPermit { connections: Arc::clone(self), address })
    }
}

/// One counted connection.
#[derive(Debug)]
pub(crate) struct AddressConnectionPermit {
    connections: Arc<ConnectionsPerAddress>,
    address: IpAddr,
}

impl Drop for AddressConnectionPermit {
    fn drop(&mut self) {
        let mut counts = self.connections.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            // Without this the map would grow with every address that ever connected.
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_per_address() {
        let peers = Arc::new(ConnectionsPerAddress::default());
        let [one, other] = [1, 2].map(|last| IpAddr::from([127, 0, 0, last]));
        let (first, second) = (peers.try_acquire(one, 2), peers.try_acquire(one, 2));
        assert!(first.is_some() && second.is_some() && peers.try_acquire(one, 2).is_none());
        assert!(peers.try_acquire(other, 2).is_some());
        drop(first);
        assert!(peers.try_acquire(one, 2).is_some());
        drop(second);
        assert!(peers.0.lock().unwrap().is_empty());
    }
}
