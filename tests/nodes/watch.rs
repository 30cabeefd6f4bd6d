//! At no moment is an address on two interfaces, of whatever nodes.
//!
//! Watched from outside, as a neighbor on the segment: what leases, pods and nodes say does not
//! count here, nor whether anyone knows that a sandbox still runs. Interfaces are told apart by
//! their MAC addresses, and every pod's is its own. An address that goes from one interface to
//! another changes it once; if the first one speaks again after the second, both are there. That
//! needs no clock.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use testbed::{Arp, Mac, Segment};

/// Between two questions for an address: short beside the time in which it could go to another pod
/// and come back.
const PERIOD: Duration = Duration::from_millis(200);

/// An interface that is there answers within microseconds; this is for a busy machine.
const SILENCE: Duration = Duration::from_secs(2);

/// A watch over a segment, which ends with this value.
pub struct Watch(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    watched: BTreeSet<Ipv4Addr>,
    spoken: HashMap<Ipv4Addr, Vec<Mac>>,
    last: HashMap<Ipv4Addr, Instant>,
    duplicates: BTreeSet<String>,
    broken: Option<String>,
}

impl State {
    fn hear(&mut self, address: Ipv4Addr, mac: Mac) {
        if !self.watched.contains(&address) {
            return;
        }
        self.last.insert(address, Instant::now());
        let spoken = self.spoken.entry(address).or_default();
        if spoken.last() == Some(&mac) {
            return;
        }
        if spoken.contains(&mac) {
            self.duplicates.insert(format!(
                "{address} of {mac:02x?} and {:02x?}",
                spoken.last()
            ));
        } else {
            spoken.push(mac);
        }
    }
}

impl Watch {
    pub fn start(segment: &Segment) -> Result<Self> {
        let arp = Arp::open(segment)?;
        let state = Arc::new(Mutex::new(State::default()));
        let watched = Arc::downgrade(&state);
        thread::spawn(move || {
            while let Some(state) = watched.upgrade() {
                if let Err(error) = round(&arp, &state) {
                    lock(&state).broken = Some(format!("{error:#}"));
                    return;
                }
            }
        });
        Ok(Self(state))
    }

    pub fn add(&self, addresses: impl IntoIterator<Item = Ipv4Addr>) {
        lock(&self.0).watched.extend(addresses);
    }

    /// What had these addresses is forgotten with them.
    pub fn remove(&self, which: impl Fn(&Ipv4Addr) -> bool) {
        let mut state = lock(&self.0);
        state.watched.retain(|address| !which(address));
        state.spoken.retain(|address, _| !which(address));
    }

    /// An error if an address was on two interfaces since the start.
    pub fn ensure_unique(&self) -> Result<()> {
        let state = lock(&self.0);
        ensure!(state.broken.is_none(), "the watch: {:?}", state.broken);
        let duplicates = &state.duplicates;
        ensure!(duplicates.is_empty(), "on two interfaces: {duplicates:?}");
        Ok(())
    }

    /// Whether an interface has this address now.
    pub async fn answers(&self, address: Ipv4Addr) -> bool {
        let asked = Instant::now();
        loop {
            let late = asked.elapsed() > SILENCE;
            if lock(&self.0).last.get(&address) > Some(&asked) {
                return true;
            }
            if late {
                return false;
            }
            tokio::time::sleep(PERIOD / 10).await;
        }
    }
}

/// Asks once for each address, and listens until it is time to ask again.
fn round(arp: &Arp, state: &Mutex<State>) -> Result<()> {
    let begun = Instant::now();
    let addresses = lock(state).watched.clone();
    for address in addresses {
        arp.ask(address)?;
    }
    while let Some(rest) = PERIOD
        .checked_sub(begun.elapsed())
        .filter(|rest| !rest.is_zero())
    {
        if let Some((address, mac)) = arp.next(rest)? {
            lock(state).hear(address, mac);
        }
    }
    Ok(())
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 80, 0, 10);

    fn duplicates_of(spoken: &[Mac]) -> usize {
        let mut state = State::default();
        state.watched.insert(ADDRESS);
        for mac in spoken {
            state.hear(ADDRESS, *mac);
        }
        state.duplicates.len()
    }

    #[test]
    fn an_address_may_go_to_another_interface_but_not_come_back() {
        let (a, b) = ([2; 6], [4; 6]);
        assert_eq!(duplicates_of(&[a, a, b, b]), 0);
        assert_eq!(duplicates_of(&[a, b, a]), 1);
    }
}
