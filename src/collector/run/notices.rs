//! Events on pools and nodes: what `kubectl describe` shows of them.

use std::collections::BTreeMap;

use super::{Run, Stop};
use crate::api::ResourceExt;
use crate::collector::api::{Api, Notice, Regarding};
use crate::collector::gather::Gathered;
use crate::collector::report::Reporter;
use crate::ip::PoolName;
use crate::retry::Clock;

/// How many are recorded in one run: a cluster in which more is wrong has its pools' conditions.
const MOST: usize = 100;

impl<W: Api, C: Clock, T: Reporter> Run<'_, W, C, T> {
    /// Records what a person has to see to.
    pub(super) async fn record_notices(&mut self, gathered: &Gathered) -> Result<(), Stop> {
        if self.options.dry_run {
            return Ok(());
        }
        for notice in self.notices(gathered) {
            self.go_on_late()?;
            let client = self.late_client;
            if let Err(error) = client
                .retry(async || client.api.record(&notice).await)
                .await
            {
                self.failed("an Event was not recorded".to_owned(), error);
                // The next would fare no better.
                break;
            }
        }
        Ok(())
    }

    fn notices(&self, gathered: &Gathered) -> Vec<Notice> {
        let of_pools = gathered.pools.iter().map(|pool| {
            let (name, uid) = (pool.name_any(), pool.uid().unwrap_or_default());
            (PoolName::from(name.clone()), Regarding::Pool { name, uid })
        });
        let of_subnets = gathered.subnets.iter().map(|subnet| {
            let (name, uid) = (subnet.name_any(), subnet.uid().unwrap_or_default());
            (PoolName::of_subnet(&name), Regarding::Subnet { name, uid })
        });
        let objects: BTreeMap<PoolName, Regarding> = of_pools.chain(of_subnets).collect();
        let of_pools = self.summary.pools.iter().flat_map(|counted| {
            let regarding = objects.get(&counted.name);
            let notices = regarding.map(|regarding| (regarding, counted.notices()));
            notices.into_iter().flat_map(|(regarding, notices)| {
                notices.map(|(reason, message)| Notice {
                    regarding: regarding.clone(),
                    reason,
                    message,
                })
            })
        });
        let nodes: BTreeMap<_, _> = self.by_node.iter().collect();
        let nodes = nodes
            .into_iter()
            .filter(|(node, _)| gathered.snapshot.nodes.contains_key(&**node));
        let of_nodes = nodes.filter_map(|(node, kept)| {
            let messages: Vec<String> = kept.of_node().collect();
            (!messages.is_empty()).then(|| Notice {
                regarding: Regarding::Node {
                    name: node.to_string(),
                },
                reason: "AddressesKept",
                message: messages.join("; "),
            })
        });
        of_nodes.chain(of_pools).take(MOST).collect()
    }
}
