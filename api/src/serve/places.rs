//! How many connections are open, in all and of each address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::Bounds;
use crate::limits::counted_as;

/// Who has how many.
#[derive(Debug, Clone)]
pub(super) struct Places(Arc<Room>);

#[derive(Debug)]
struct Room {
    bounds: Bounds,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One connection's; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    /// None for a proxy.
    address: Option<IpAddr>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// The process has as many connections as it takes.
    Anybody,
    /// The address has as many as one may have.
    Address,
}

impl Places {
    pub(super) fn new(bounds: &Bounds) -> Self {
        Self(Arc::new(Room { bounds: bounds.clone(), taken: Mutex::default() }))
    }

    /// A place for a connection from this address.
    pub(super) fn take(&self, peer: IpAddr) -> Result<Place, NoPlace> {
        let Room { bounds, taken } = &*self.0;
        let address = (!bounds.proxies.contain(peer)).then(|| counted_as(peer));
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= bounds.connections {
            return Err(NoPlace::Anybody);
        }
        if let Some(address) = address {
            let own = taken.by_address.entry(address).or_default();
            if *own >= bounds.per_address {
                return Err(NoPlace::Address);
            }
            *own += 1;
        }
        taken.all += 1;
        Ok(Place { places: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        let Some(address) = self.address else { return };
        let left = taken.by_address.get_mut(&address).map(|own| {
            *own = own.saturating_sub(1);
            *own
        });
        if left == Some(0) {
            taken.by_address.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use postrider_shared::config::{Settings, TrafficConfig};

    use super::*;

    #[test]
    fn places_are_counted_by_address_and_given_back() {
        let traffic: TrafficConfig = Settings::of([
            ("MAX_CONNECTIONS", "5"),
            ("MAX_CONNECTIONS_PER_ADDRESS", "2"),
            ("TRUSTED_PROXIES", "10.0.0.0/8"),
        ])
        .read()
        .unwrap();
        let places = Places::new(&Bounds::of(&traffic));
        let take = |address: &str| places.take(address.parse().unwrap());
        let first = take("1.1.1.1").unwrap();
        let second = take("::ffff:1.1.1.1").unwrap();
        assert_eq!(take("1.1.1.1").unwrap_err(), NoPlace::Address, "the same, over an IPv6 socket");
        drop(first);
        let third = take("1.1.1.1").unwrap();
        let neighbours = [take("2001:db8::1").unwrap(), take("2001:db8::ffff").unwrap()];
        assert_eq!(take("2001:db8::2").unwrap_err(), NoPlace::Address);
        let proxy = take("10.0.0.1").unwrap();
        assert_eq!(take("3.3.3.3").unwrap_err(), NoPlace::Anybody);
        drop((second, third, neighbours));
        let proxies = [take("10.0.0.1").unwrap(), take("10.0.0.1").unwrap(), take("10.0.0.1").unwrap()];
        drop((proxy, proxies));
        let taken = places.0.taken.lock().unwrap();
        assert_eq!((taken.all, taken.by_address.len()), (0, 0), "nothing is remembered of who has left");
    }
}
