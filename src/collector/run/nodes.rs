//! The addresses of nodes, kept out of the pools.

use super::{Run, Stop};
use crate::api::ReservedIP;
use crate::collector::api::{Api, ConfigMapSnapshot};
use crate::collector::gather::Gathered;
use crate::collector::node_addresses::{CONFIG_MAP, NodeAddresses, is_ours};
use crate::collector::now::Now;
use crate::collector::report::Reporter;
use crate::pool::Pools;
use crate::retry::{Clock, Error};

impl<W: Api, C: Clock, T: Reporter> Run<'_, W, C, T> {
    /// Reserves the addresses of nodes. What is reserved stays reserved where it is unknown what
    /// nodes had before.
    pub(super) async fn reserve_nodes(
        &mut self,
        gathered: &Gathered,
        pools: &Pools,
        now: &Now,
    ) -> Result<(), Stop> {
        if self.options.dry_run {
            return Ok(());
        }
        self.go_on_late()?;
        match self.remember(gathered, pools, now).await {
            Ok(addresses) => self.reserve(&addresses, &gathered.reserved).await,
            Err(error) => {
                let what = format!(
                    "the addresses of nodes were not updated, because of the ConfigMap {CONFIG_MAP}"
                );
                self.failed(what, error);
                Ok(())
            }
        }
    }

    /// Which addresses nodes have and had, written down before anything follows from it.
    async fn remember(
        &self,
        gathered: &Gathered,
        pools: &Pools,
        now: &Now,
    ) -> Result<NodeAddresses, Error> {
        let (client, namespace) = (self.late_client, &self.options.namespace);
        let read = async || client.api.config_map(namespace, CONFIG_MAP).await;
        let stored = client.retry(read).await?;
        let before = NodeAddresses::read(&stored.data);
        let after = before.updated(&gathered.snapshot, pools, now);
        if after == before {
            return Ok(after);
        }
        let content = ConfigMapSnapshot {
            version: stored.version,
            data: after.write(),
        };
        let write = async || {
            let api = client.api;
            api.write_config_map(namespace, CONFIG_MAP, &content).await
        };
        // Another run that was faster has read the same nodes.
        client.retry(write).await?;
        Ok(after)
    }

    async fn reserve(
        &mut self,
        addresses: &NodeAddresses,
        written: &[ReservedIP],
    ) -> Result<(), Stop> {
        let name = |object: &ReservedIP| object.metadata.name.clone().unwrap_or_default();
        let wanted = addresses.reservations();
        let client = self.late_client;
        for object in &wanted {
            self.go_on_late()?;
            let there = written.iter().find(|there| name(there) == name(object));
            if there.is_some_and(|there| there.spec == object.spec) {
                continue;
            }
            let mut object = object.clone();
            if let Some(there) = there {
                object.metadata = there.metadata.clone();
            }
            // Another's write is seen by the next run.
            let write = async || client.api.reserve(&object).await;
            if let Err(error) = client.retry(write).await {
                self.failed(
                    format!("ReservedIP {} was not written", name(&object)),
                    error,
                );
            }
        }
        let wanted: Vec<String> = wanted.iter().map(name).collect();
        for stale in written {
            if is_ours(&name(stale)) && !wanted.contains(&name(stale)) {
                self.go_on_late()?;
                let delete = async || client.api.unreserve(stale).await;
                if let Err(error) = client.retry(delete).await {
                    self.failed(format!("ReservedIP {} was not deleted", name(stale)), error);
                }
            }
        }
        Ok(())
    }
}
