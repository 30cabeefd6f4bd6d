//! Live reads of a pod and of a node, made once for all its leases that are due.

use std::cmp::Ordering;
use std::rc::Rc;
use std::time::Duration;

use futures_util::lock::Mutex;

use crate::collector::compact::Uid;
use crate::collector::snapshot::{HolderSnapshot, LeaseSnapshot, NodeSnapshot, PodSnapshot};
use crate::retry::{Clock, Error};

/// For how long a live read serves all that share it.
const FRESH: Duration = Duration::from_secs(5);

/// A read, made by the first who needs it, and when that was.
pub(super) struct Shared<T>(Mutex<Option<(Duration, T)>>);

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Shared<T> {
    /// What was read a moment ago, or is read now.
    pub async fn get(
        &self,
        clock: &impl Clock,
        read: impl AsyncFnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut last = self.0.lock().await;
        let now = clock.elapsed();
        if let Some((at, value)) = &*last
            && now < *at + FRESH
        {
            return Ok(value.clone());
        }
        let value = read().await?;
        *last = Some((now, value.clone()));
        Ok(value)
    }
}

/// The reads that a lease shares with its neighbors.
#[derive(Clone, Default)]
pub(super) struct LiveReads {
    pub pod: Rc<Shared<Option<PodSnapshot>>>,
    pub node: Rc<Shared<Option<NodeSnapshot>>>,
}

/// Brings leases of one node together, and among them those of one pod.
pub(super) fn by_holder(a: &LeaseSnapshot, b: &LeaseSnapshot) -> Ordering {
    a.holder.as_ref().map(key).cmp(&b.holder.as_ref().map(key))
}

fn key(holder: &HolderSnapshot) -> (&str, &str, &str, &Uid) {
    (&holder.node, &holder.namespace, &holder.pod, &holder.uid)
}

/// The lease before, in the order of [`by_holder`]. What is shared is kept no longer than its last
/// lease needs it.
#[derive(Default)]
pub(super) struct Neighbors<'a> {
    last: Option<(&'a HolderSnapshot, LiveReads)>,
}

impl<'a> Neighbors<'a> {
    /// The reads of the next lease.
    pub fn reads_of(&mut self, lease: &'a LeaseSnapshot) -> LiveReads {
        let mut reads = LiveReads::default();
        if let (Some(holder), Some((last, shared))) = (&lease.holder, &self.last) {
            if key(holder) == key(last) {
                reads.pod = Rc::clone(&shared.pod);
            }
            if holder.node == last.node {
                reads.node = Rc::clone(&shared.node);
            }
        }
        self.last = lease.holder.as_ref().map(|holder| (holder, reads.clone()));
        reads
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::FutureExt;
    use jiff::Timestamp;

    use super::*;
    use crate::collector::tests::scene::held;

    #[test]
    fn leases_of_one_pod_share_its_read_and_those_of_one_node_share_the_nodes() {
        let of = |last, uid, node: &str| {
            let mut lease = held(last, uid);
            lease.holder.as_mut().expect("a holder").node = node.into();
            lease
        };
        let mut leases = [
            of(1, "a", "n1"),
            of(2, "b", "n2"),
            of(3, "b", "n1"),
            of(4, "a", "n1"),
        ];
        leases.sort_by(by_holder);
        let mut neighbors = Neighbors::default();
        let reads: Vec<LiveReads> = leases.iter().map(|it| neighbors.reads_of(it)).collect();
        let shared: Vec<_> = reads
            .windows(2)
            .map(|two| {
                (
                    Rc::ptr_eq(&two[0].pod, &two[1].pod),
                    Rc::ptr_eq(&two[0].node, &two[1].node),
                )
            })
            .collect();
        assert_eq!(shared, [(true, true), (false, true), (false, false)]);
    }

    struct Stopped(Cell<u64>);

    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }

        fn elapsed(&self) -> Duration {
            Duration::from_secs(self.0.get())
        }

        fn chance(&self) -> f64 {
            0.0
        }

        async fn pause(&self, _: Duration) {}

        async fn until(&self, _: Duration) {}
    }

    #[test]
    fn a_read_is_shared_as_long_as_it_is_fresh() {
        let (clock, reads) = (Stopped(Cell::new(0)), Cell::new(0));
        let shared = Shared::default();
        for (second, number) in [(0, 1), (4, 1), (5, 2), (9, 2)] {
            clock.0.set(second);
            let read = async || {
                reads.set(reads.get() + 1);
                Ok(reads.get())
            };
            let value = shared.get(&clock, read).now_or_never();
            assert_eq!(
                value.expect("no pause").expect("a value"),
                number,
                "after {second} s"
            );
        }
    }
}
