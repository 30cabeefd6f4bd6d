//! Which reports of annotations count.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Run, Stop};
use crate::collector::api::Api;
use crate::collector::evidence::{admits, unconfirmed};
use crate::collector::index::SnapshotIndex;
use crate::collector::recreate::Keepers;
use crate::collector::report::Reporter;
use crate::collector::snapshot::{Snapshot, Surroundings};
use crate::pool::Pools;
use crate::retry::Clock;

impl<W: Api, C: Clock, T: Reporter> Run<'_, W, C, T> {
    /// Reads what is around the pods whose annotations report addresses that no lease confirms, and
    /// notes which count.
    pub(super) async fn admit(
        &mut self,
        snapshot: &mut Snapshot,
        pools: &Pools,
    ) -> Result<(), Stop> {
        let index = SnapshotIndex::of(snapshot);
        let mut around: HashMap<(Arc<str>, Arc<str>), Option<Surroundings>> = HashMap::new();
        let mut admitted = std::collections::HashSet::new();
        // A set says by itself which addresses pods of its application may have.
        let keepers = Keepers::of(snapshot);
        for pod in snapshot.pods.iter().filter(|pod| pod.is_alive()) {
            let reports = pod.attached.iter().flat_map(|attached| &attached.reports);
            let of_set = reports.filter(|report| keepers.set(pod, report.address).is_some());
            admitted.extend(of_set.map(|report| (pod.uid.clone(), report.address)));
        }
        for unconfirmed in unconfirmed(&index, pools) {
            self.go_on()?;
            let pod = unconfirmed.pod;
            let place = (pod.namespace.clone(), pod.node.clone());
            if !around.contains_key(&place) {
                let api = self.client.api;
                let read = async || api.surroundings(&pod.namespace, &pod.node).await;
                let read = self.client.retry(read).await;
                let what = || {
                    format!(
                        "the annotations of pods in namespace {} were not judged",
                        pod.namespace
                    )
                };
                let read = read.map_err(|error| self.failed(what(), error)).ok();
                around.insert(place.clone(), read);
            }
            let counts = match around.get(&place) {
                Some(Some(around)) => admits(&unconfirmed, around, pools),
                // Unknown means keep, and making a lease keeps.
                Some(None) | None => true,
            };
            if counts {
                admitted.insert((pod.uid.clone(), unconfirmed.report.address));
            }
        }
        snapshot.admitted = admitted;
        Ok(())
    }
}
