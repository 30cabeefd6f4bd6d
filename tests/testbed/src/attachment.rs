//! The calls of a runtime for one interface of one pod: the environment it sends, the
//! configuration, the result it keeps.

mod cnitool;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use rand::seq::SliceRandom;
use serde_json::{Value, json};

use crate::call::Call;
use crate::node::Node;
use crate::outcome::Outcome;
use crate::pod::Pod;
use crate::sandbox::Sandbox;
use crate::tools::Tool;

/// Which program the runtime calls.
#[derive(Clone, Debug)]
enum Main {
    /// The IPAM plugin itself, as a main plugin would.
    Direct,
    /// A main plugin, which calls the IPAM plugin.
    Delegating(Tool),
}

/// One interface of one pod in one sandbox, and what a runtime knows of it.
#[derive(Debug)]
pub struct Attachment {
    node: Node,
    sandbox: Arc<Sandbox>,
    netns_is_known: bool,
    container: String,
    interface: String,
    ipam_plugin: PathBuf,
    main: Main,
    config: Value,
    args: Vec<(String, String)>,
    result: Mutex<Option<Value>>,
}

impl Attachment {
    /// The first interface, `eth0`, of this pod: the plugin at `ipam_plugin` is called directly,
    /// with CNI 1.1.0, as the network `test`, with the node's kubeconfig and nothing else in
    /// `ipam`.
    pub fn new(ipam_plugin: &Path, node: &Node, pod: &Pod, sandbox: &Arc<Sandbox>) -> Result<Self> {
        let name = ipam_plugin
            .file_name()
            .and_then(|name| name.to_str())
            .context("the plugin's file name")?;
        let arg = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        Ok(Self {
            node: node.clone(),
            sandbox: Arc::clone(sandbox),
            netns_is_known: true,
            container: sandbox.container().to_owned(),
            interface: "eth0".to_owned(),
            ipam_plugin: ipam_plugin.to_owned(),
            main: Main::Direct,
            config: json!({
                "cniVersion": "1.1.0",
                "name": "test",
                "type": "macvlan",
                "ipam": {"type": name, "kubeconfig": node.kubeconfig()},
            }),
            args: vec![
                arg("K8S_POD_NAMESPACE", pod.namespace()),
                arg("K8S_POD_NAME", pod.name()),
                arg("K8S_POD_INFRA_CONTAINER_ID", sandbox.container()),
                arg("K8S_POD_UID", pod.uid()),
                arg("IgnoreUnknown", "1"),
            ],
            result: Mutex::default(),
        })
    }

    /// Another interface than `eth0`.
    #[must_use]
    pub fn interface(mut self, name: &str) -> Self {
        name.clone_into(&mut self.interface);
        self
    }

    /// Another container id than the sandbox's: one of [`container_id`](crate::container_id), or
    /// the notes that a plugin leaves of it on the machine stay there.
    #[must_use]
    pub fn container(mut self, id: &str) -> Self {
        id.clone_into(&mut self.container);
        self
    }

    /// Through the macvlan plugin, on the node's `eth0`.
    #[must_use]
    pub fn by_macvlan(mut self) -> Self {
        self.main = Main::Delegating(Tool::Macvlan);
        self.set("type", json!("macvlan"))
            .set("master", json!("eth0"))
            .set("mode", json!("bridge"))
    }

    /// Through the bridge plugin, on a bridge of this name in the node's namespace.
    #[must_use]
    pub fn by_bridge(mut self, name: &str) -> Self {
        self.main = Main::Delegating(Tool::Bridge);
        self.set("type", json!("bridge")).set("bridge", json!(name))
    }

    /// Through the ptp plugin.
    #[must_use]
    pub fn by_ptp(mut self) -> Self {
        self.main = Main::Delegating(Tool::Ptp);
        self.set("type", json!("ptp"))
    }

    /// Through the host-device plugin, with this link of the node's namespace.
    #[must_use]
    pub fn by_host_device(mut self, device: &str) -> Self {
        self.main = Main::Delegating(Tool::HostDevice);
        self.set("type", json!("host-device"))
            .set("device", json!(device))
    }

    /// The call of this command to the sbr plugin, chained behind the last ADD.
    pub fn sbr(&self, command: &str) -> Result<Call> {
        let mut config = self.config.clone();
        config["type"] = json!("sbr");
        config["prevResult"] = self.result().context("no ADD has succeeded")?;
        let program = self.node.cluster().tool(Tool::Sbr);
        Ok(self
            .call_of(command, &program)
            .stdin(serde_json::to_vec(&config)?))
    }

    /// With this key in the configuration; null takes it away.
    #[must_use]
    pub fn set(mut self, key: &str, value: Value) -> Self {
        put(&mut self.config, key, value);
        self
    }

    /// With this key in the configuration's `ipam`; null takes it away.
    #[must_use]
    pub fn ipam(mut self, key: &str, value: Value) -> Self {
        put(&mut self.config["ipam"], key, value);
        self
    }

    /// With this pair in `CNI_ARGS`, in place of one of the same key.
    #[must_use]
    pub fn cni_arg(mut self, key: &str, value: &str) -> Self {
        self.args.retain(|(known, _)| known != key);
        self.args.push((key.to_owned(), value.to_owned()));
        self
    }

    /// With empty `CNI_NETNS`, as after a reboot.
    #[must_use]
    pub fn without_netns(mut self) -> Self {
        self.netns_is_known = false;
        self
    }

    /// In this sandbox instead: of another interface of the pod, or of an earlier call.
    #[must_use]
    pub fn in_sandbox(mut self, sandbox: &Arc<Sandbox>) -> Self {
        self.sandbox = Arc::clone(sandbox);
        self.container(sandbox.container())
            .cni_arg("K8S_POD_INFRA_CONTAINER_ID", sandbox.container())
    }

    /// The sandbox, which is its pod's network namespace.
    #[must_use]
    pub fn sandbox(&self) -> &Arc<Sandbox> {
        &self.sandbox
    }

    /// The container id.
    #[must_use]
    pub fn container_id(&self) -> &str {
        &self.container
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Value {
        &self.config
    }

    /// The result of the last ADD that succeeded, which DEL and CHECK are given as `prevResult`.
    #[must_use]
    pub fn result(&self) -> Option<Value> {
        self.result
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Gives DEL and CHECK this as `prevResult` from now on; `None`: as a runtime that has lost its
    /// cache.
    pub fn remember(&self, result: Option<Value>) {
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = result;
    }

    /// The addresses of the last ADD that succeeded.
    pub fn ips(&self) -> Result<Vec<IpAddr>> {
        let result = self.result().context("no ADD has succeeded")?;
        let ips = result["ips"].as_array().into_iter().flatten();
        ips.map(|ip| {
            let text = ip["address"].as_str().unwrap_or_default();
            let address = text.split('/').next().unwrap_or_default();
            address
                .parse()
                .with_context(|| format!("an address that is none: {text:?}"))
        })
        .collect()
    }

    /// ADD; a result is remembered.
    pub async fn add(&self) -> Result<Outcome> {
        let outcome = self.call("ADD")?.run().await?;
        if outcome.succeeded() {
            self.remember(Some(outcome.json()?));
        }
        Ok(outcome)
    }

    /// DEL, with the remembered result; a success forgets it.
    pub async fn del(&self) -> Result<Outcome> {
        let outcome = self.call("DEL")?.run().await?;
        if outcome.succeeded() {
            self.remember(None);
        }
        Ok(outcome)
    }

    /// CHECK, with the remembered result.
    pub async fn check(&self) -> Result<Outcome> {
        self.call("CHECK")?.run().await
    }

    /// The call of this command, to be varied or spawned.
    pub fn call(&self, command: &str) -> Result<Call> {
        let mut config = self.config.clone();
        if command != "ADD"
            && let Some(result) = self.result()
        {
            config["prevResult"] = result;
        }
        let program = match self.main {
            Main::Direct => self.ipam_plugin.clone(),
            Main::Delegating(tool) => self.node.cluster().tool(tool),
        };
        Ok(self
            .call_of(command, &program)
            .stdin(serde_json::to_vec(&config)?))
    }

    /// The call of a plugin, with nothing on stdin.
    fn call_of(&self, command: &str, program: &Path) -> Call {
        let netns = self.netns_is_known.then(|| self.sandbox.netns().path());
        Call::new(program)
            .env("CNI_COMMAND", command)
            .env("CNI_CONTAINERID", &self.container)
            .env("CNI_NETNS", netns.unwrap_or(Path::new("")))
            .env("CNI_IFNAME", &self.interface)
            .env("CNI_ARGS", self.cni_args())
            .env("CNI_PATH", cni_path(&self.node, &self.ipam_plugin))
            .inside(self.node.netns())
            .cache(self.node.cache())
    }

    /// In random order, as containerd sends them: it keeps them in a map.
    fn cni_args(&self) -> String {
        let mut pairs: Vec<String> = self
            .args
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        pairs.shuffle(&mut rand::rng());
        pairs.join(";")
    }
}

/// Where main plugins and the IPAM plugin are.
fn cni_path(node: &Node, ipam_plugin: &Path) -> String {
    let parent = |path: &Path| {
        path.parent()
            .map(|folder| folder.display().to_string())
            .unwrap_or_default()
    };
    let mut folders: Vec<String> = [Tool::Macvlan, Tool::Bridge]
        .map(|tool| parent(&node.cluster().tool(tool)))
        .into();
    folders.push(parent(ipam_plugin));
    folders.dedup();
    folders.join(":")
}

fn put(object: &mut Value, key: &str, value: Value) {
    if let Value::Object(map) = object {
        if value.is_null() {
            map.remove(key);
        } else {
            map.insert(key.to_owned(), value);
        }
    }
}
