//! Who is let in: connections by the address they come from, so that no address has them all.
//!
//! An address may take a place while it holds fewer than are free: alone it gets half of them,
//! and however many it asks for, some are left for the next. Whoever is past that takes the place
//! of the oldest connection of its own that asks for nothing just now, such as one whose head
//! does not come. Where there is none, a few may still ask, shortly, whether the node is well.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Connections beside the places, for questions about health; one more ends the oldest.
pub(super) const ASIDE_MAX: usize = 32;

/// The places, and who has them.
pub(super) struct Doors {
    most: usize,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    next: u64,
    count: usize,
    /// By network, the oldest first.
    guests: HashMap<IpAddr, BTreeMap<u64, Arc<Guest>>>,
    aside: BTreeMap<u64, Arc<Guest>>,
}

/// A connection that is inside.
#[derive(Default)]
pub(super) struct Guest {
    /// Requests under way: HTTP/2 has several at a time.
    busy: AtomicUsize,
    leave: Notify,
}

/// A connection's place, given back when dropped.
pub(super) struct Place {
    doors: Arc<Doors>,
    network: IpAddr,
    id: u64,
    guest: Arc<Guest>,
    /// It is one of the few for questions about health.
    pub aside: bool,
}

/// Marks a connection as one with a request under way.
pub(super) struct Busy(Arc<Guest>);

impl Busy {
    pub(super) fn of(guest: &Arc<Guest>) -> Busy {
        guest.busy.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(guest))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What counts as one address: of IPv6 a /64 network, which is what one customer has.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

impl Doors {
    pub(super) fn new(most: usize) -> Arc<Doors> {
        Arc::new(Doors { most: most.max(1), inside: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a connection in. `shared`: many callers come from this address.
    pub(super) fn enter(self: &Arc<Self>, from: IpAddr, shared: bool) -> Place {
        let network = network(from);
        let mut inside = self.lock();
        let held = inside.guests.get(&network).map_or(0, BTreeMap::len);
        let free = self.most.saturating_sub(inside.count);
        let fits = free > 0 && (shared || held < free);
        let aside = !fits && !inside.end_idle(network, free == 0);
        let id = inside.next;
        inside.next += 1;
        let guest = Arc::<Guest>::default();
        if aside {
            if inside.aside.len() >= ASIDE_MAX
                && let Some((_, oldest)) = inside.aside.pop_first()
            {
                oldest.leave.notify_one();
            }
            inside.aside.insert(id, Arc::clone(&guest));
        } else {
            inside.count += 1;
            inside.guests.entry(network).or_default().insert(id, Arc::clone(&guest));
        }
        drop(inside);
        Place { doors: Arc::clone(self), network, id, guest, aside }
    }
}

impl Inside {
    /// Ends the oldest connection of `network` that asks for nothing, or, `at_all`, of whoever
    /// has the most. False: there is none.
    fn end_idle(&mut self, network: IpAddr, at_all: bool) -> bool {
        let greediest = || {
            let most = self.guests.iter().max_by_key(|(_, guests)| guests.len());
            most.map(|(network, _)| *network).filter(|_| at_all)
        };
        let found = self.idle(network).map(|id| (network, id));
        let found = found.or_else(|| {
            let other = greediest()?;
            self.idle(other).map(|id| (other, id))
        });
        let Some((network, id)) = found else { return false };
        if let Some(guest) = self.remove(network, id) {
            guest.leave.notify_one();
        }
        true
    }

    fn idle(&self, network: IpAddr) -> Option<u64> {
        let mut guests = self.guests.get(&network)?.iter();
        guests.find(|(_, guest)| guest.busy.load(Ordering::Relaxed) == 0).map(|(id, _)| *id)
    }

    fn remove(&mut self, network: IpAddr, id: u64) -> Option<Arc<Guest>> {
        let guests = self.guests.get_mut(&network)?;
        let guest = guests.remove(&id)?;
        if guests.is_empty() {
            self.guests.remove(&network);
        }
        self.count -= 1;
        Some(guest)
    }
}

impl Place {
    /// Who has it.
    pub(super) fn guest(&self) -> &Arc<Guest> {
        &self.guest
    }

    /// Resolves when another connection takes the place.
    pub(super) async fn taken(&self) {
        self.guest.leave.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.doors.lock();
        if self.aside {
            inside.aside.remove(&self.id);
        } else {
            inside.remove(self.network, self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn busy(places: &[Place]) -> Vec<Busy> {
        places.iter().map(|place| Busy::of(place.guest())).collect()
    }

    #[test]
    fn no_address_takes_every_place_and_each_still_gets_in() {
        let doors = Doors::new(100);
        let greedy = address("192.0.2.1");
        let first: Vec<Place> = (0..50).map(|_| doors.enter(greedy, false)).collect();
        assert!(first.iter().all(|place| !place.aside));
        let at_work = busy(&first);
        assert!(doors.enter(greedy, false).aside, "it has half of them, all at work");
        let others: Vec<Place> = (0..25).map(|_| doors.enter(address("::1"), false)).collect();
        assert!(others.iter().all(|place| !place.aside));
        drop(at_work);
        let again = doors.enter(greedy, false);
        assert!(!again.aside, "it takes the place of its oldest");
        assert_eq!(doors.lock().guests[&greedy].len(), 50);
        drop((first, again));
        assert!(!doors.lock().guests.contains_key(&greedy));
    }

    #[test]
    fn a_proxy_may_fill_the_house_and_the_few_beside_it_stay_few() {
        let doors = Doors::new(10);
        let proxy = address("10.0.0.1");
        let all: Vec<Place> = (0..10).map(|_| doors.enter(proxy, true)).collect();
        let at_work = busy(&all);
        let aside: Vec<Place> = (0..100).map(|_| doors.enter(proxy, true)).collect();
        assert!(aside.iter().all(|place| place.aside));
        assert_eq!(doors.lock().aside.len(), ASIDE_MAX);
        drop(at_work);
        assert!(!doors.enter(address("10.0.0.2"), false).aside, "an idle one makes room");
    }

    #[test]
    fn one_customer_is_one_address() {
        assert_eq!(network(address("2001:db8::1")), network(address("2001:db8::ffff:1")));
        assert_ne!(network(address("2001:db8::1")), network(address("2001:db8:0:1::1")));
        assert_eq!(network(address("::ffff:192.0.2.1")), address("192.0.2.1"));
    }
}
