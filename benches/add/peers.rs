//! What stands beside the plugin: the floor process, host-local, Whereabouts.

use std::env;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use serde_json::{Value, json};
use testbed::{Attachment, Pod, Tool, Tools};

use super::environment::Bench;
use super::whereabouts;

/// Whereabouts, where it can be built.
pub struct Whereabouts {
    program: PathBuf,
    file: PathBuf,
}

impl Bench {
    /// The least that an address takes.
    pub fn floor(&self, pod: &Pod) -> Result<Attachment> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let first = u32::from(Ipv4Addr::new(10, 83, 0, 1));
        let address = Ipv4Addr::from(first + NEXT.fetch_add(1, Ordering::Relaxed));
        let eth0 = self.attachment(&env::current_exe()?, pod)?;
        Ok(eth0
            .ipam("namespace", json!(pod.namespace()))
            .ipam("pod", json!(pod.name()))
            .ipam("address", json!(address)))
    }

    /// What the CNI project has for addresses of one node, without an API server.
    pub fn host_local(&self, pod: &Pod) -> Result<Attachment> {
        let plugin = Tools::ready(&[Tool::HostLocal])?.path(Tool::HostLocal);
        let eth0 = self
            .attachment(&plugin, pod)?
            .ipam("kubeconfig", Value::Null);
        Ok(eth0
            .set("cniVersion", json!("1.0.0"))
            .ipam("dataDir", json!(self.cluster.dir().join("host-local")))
            .ipam("ranges", json!([[{"subnet": "10.77.0.0/16"}]])))
    }

    /// Whereabouts with its kinds in place, or a line that says why not.
    pub async fn whereabouts(&self) -> Result<Option<Whereabouts>> {
        let built = tokio::task::spawn_blocking(|| Tools::ready(&[Tool::Whereabouts]));
        let tools = match built.await? {
            Ok(tools) => tools,
            Err(error) => {
                println!("without Whereabouts: {error:#}\n");
                return Ok(None);
            }
        };
        for kind in whereabouts::definitions() {
            self.cluster.apply_yaml(&kind.to_string()).await?;
        }
        let file = self.cluster.dir().join("whereabouts.conf");
        // It is the administrator, since a node may not write the lease that it elects a leader
        // by. The API server's queues let it pass.
        let kubeconfig = self.cluster.kubeconfig();
        let content = whereabouts::file(&kubeconfig.display().to_string());
        std::fs::write(&file, content.to_string())?;
        let program = tools.path(Tool::Whereabouts);
        Ok(Some(Whereabouts { program, file }))
    }
}

impl Whereabouts {
    pub fn attachment(&self, bench: &Bench, pod: &Pod, range: &str) -> Result<Attachment> {
        let eth0 = bench.attachment(&self.program, pod)?;
        Ok(eth0
            .set("cniVersion", json!("1.0.0"))
            .ipam("kubeconfig", Value::Null)
            .ipam("configuration_path", json!(self.file))
            .ipam("range", json!(range)))
    }
}
