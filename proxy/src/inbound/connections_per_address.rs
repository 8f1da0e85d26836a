//! How many connections each address has, so that one alone cannot take them all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The addresses that have connections now.
#[derive(Debug, Default)]
pub struct ConnectionsPerAddress(Mutex<HashMap<IpAddr, usize>>);

impl ConnectionsPerAddress {
    /// Counts one more connection of an address, while the result is there; `None` where it has `max` already.
    pub fn try_acquire(
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

/// One connection of an address.
#[derive(Debug)]
pub struct AddressConnectionPermit {
    connections: Arc<ConnectionsPerAddress>,
    address: IpAddr,
}

impl Drop for AddressConnectionPermit {
    fn drop(&mut self) {
        let mut counts = self.connections.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count = count.saturating_sub(1);
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
    fn each_address_has_its_own_number() {
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
