//! At no moment is an address on the interfaces of two sandboxes, of whatever nodes.
//!
//! Watched from outside, in the network namespaces themselves: what leases and pods say does not count here.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use testbed::{RunningSandbox, Worker};

/// Between two looks: short beside the life of a pod, long beside what a look costs.
const PERIOD: Duration = Duration::from_millis(500);

/// A watch over all workers of a cluster, which ends with this value.
pub struct Watch(Arc<Mutex<State>>);

struct State {
    workers: Vec<Worker>,
    duplicates: Vec<String>,
}

impl Watch {
    pub fn start(workers: Vec<Worker>) -> Self {
        let state = Arc::new(Mutex::new(State {
            workers,
            duplicates: Vec::new(),
        }));
        let watched = Arc::downgrade(&state);
        thread::spawn(move || {
            while let Some(state) = watched.upgrade() {
                let workers = lock(&state).workers.clone();
                let found = duplicates(&workers);
                lock(&state).duplicates.extend(found);
                drop((state, workers));
                thread::sleep(PERIOD);
            }
        });
        Self(state)
    }

    pub fn add(&self, worker: &Worker) {
        lock(&self.0).workers.push(worker.clone());
    }

    pub fn remove(&self, name: &str) {
        lock(&self.0).workers.retain(|worker| worker.name() != name);
    }

    /// An error if an address was on two interfaces since the start.
    pub fn ensure_unique(&self) -> Result<()> {
        let duplicates = &lock(&self.0).duplicates;
        ensure!(duplicates.is_empty(), "on two interfaces: {duplicates:?}");
        Ok(())
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The addresses that two sandboxes have at this moment.
fn duplicates(workers: &[Worker]) -> Vec<String> {
    let sandboxes: Vec<RunningSandbox> = workers
        .iter()
        .filter_map(|worker| worker.sandboxes().ok())
        .flatten()
        .collect();
    let mut holders: HashMap<IpAddr, Vec<&RunningSandbox>> = HashMap::new();
    for sandbox in &sandboxes {
        // One that ends at this moment has none.
        for address in sandbox.addresses("eth0").unwrap_or_default() {
            holders.entry(address.addr()).or_default().push(sandbox);
        }
    }
    // Looks at different sandboxes are a moment apart: what two had is looked at again.
    let still = |address: IpAddr, sandbox: &&RunningSandbox| {
        let now = sandbox.addresses("eth0").unwrap_or_default();
        now.iter().any(|net| net.addr() == address)
    };
    holders.retain(|address, of| {
        of.len() > 1 && of.iter().filter(|one| still(*address, one)).count() > 1
    });
    holders
        .iter()
        .map(|(address, of)| {
            let ids: Vec<&str> = of.iter().map(|sandbox| sandbox.pod_uid.as_str()).collect();
            format!("{address} of the pods {}", ids.join(" and "))
        })
        .collect()
}
