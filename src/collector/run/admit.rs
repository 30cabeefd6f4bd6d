//! Which reports of annotations count.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use futures_util::StreamExt;

use super::{AT_ONCE, Run, Stop, in_time};
use crate::collector::api::Api;
use crate::collector::evidence::{admits, unconfirmed};
use crate::collector::index::SnapshotIndex;
use crate::collector::recreate::Keepers;
use crate::collector::report::Reporter;
use crate::collector::snapshot::{Snapshot, Surroundings};
use crate::pool::Pools;
use crate::retry::{ApiError, Clock, Error};

impl<W: Api, C: Clock, T: Reporter> Run<'_, W, C, T> {
    /// Reads what is around the pods whose annotations report addresses that no lease confirms, and
    /// notes which count.
    pub(super) async fn admit(
        &mut self,
        snapshot: &mut Snapshot,
        pools: &Pools,
    ) -> Result<(), Stop> {
        let index = SnapshotIndex::of(snapshot);
        let mut admitted = HashSet::new();
        // A set says by itself which addresses pods of its application may have.
        let keepers = Keepers::of(snapshot);
        for pod in snapshot.pods.iter().filter(|pod| pod.is_alive()) {
            let reports = pod.attached.iter().flat_map(|attached| &attached.reports);
            let of_set = reports.filter(|report| keepers.set(pod, report.address).is_some());
            admitted.extend(of_set.map(|report| (pod.uid.clone(), report.address)));
        }
        let unconfirmed = unconfirmed(&index, pools);
        let api = self.client.api;
        let names = unconfirmed.iter().map(|it| &*it.pod.namespace);
        let read = async |name: &str| api.namespace(name).await;
        let namespaces = self.read_each("Namespace", names.collect(), read).await?;
        let names = unconfirmed.iter().map(|it| &*it.pod.node);
        let read = async |name: &str| api.node_labels(name).await;
        let nodes = self.read_each("Node", names.collect(), read).await?;
        for unconfirmed in &unconfirmed {
            let pod = unconfirmed.pod;
            let around = namespaces.get(&*pod.namespace).zip(nodes.get(&*pod.node));
            let counts = around.is_none_or(|(namespace, node)| {
                let around = Surroundings {
                    namespace: namespace.clone(),
                    node: node.clone(),
                };
                admits(unconfirmed, &around, pools)
            });
            // Unknown means keep, and making a lease keeps.
            if counts {
                admitted.insert((pod.uid.clone(), unconfirmed.report.address));
            }
        }
        snapshot.admitted = admitted;
        self.go_on()
    }

    /// Reads something of objects of these names. Of those that can't be read, or that there is no
    /// time for, nothing is known.
    async fn read_each<'n, R>(
        &mut self,
        kind: &str,
        names: BTreeSet<&'n str>,
        read: impl AsyncFn(&str) -> Result<R, ApiError>,
    ) -> Result<HashMap<&'n str, R>, Stop> {
        let client = Rc::clone(&self.client);
        let (client, stop, read) = (&*client, self.stop, &read);
        let reads = in_time(names, client, stop)
            .map(async |name| (name, client.retry(async || read(name).await).await))
            .buffer_unordered(AT_ONCE);
        let reads: Vec<(&str, Result<R, Error>)> = reads.collect().await;
        if stop() {
            return Err(Stop::Stopped);
        }
        let mut known = HashMap::new();
        for (name, read) in reads {
            match read {
                Ok(found) => {
                    known.insert(name, found);
                }
                Err(error) => {
                    let what = format!("all annotations of pods of {kind} {name} count");
                    self.failed(what, error);
                }
            }
        }
        Ok(known)
    }
}
