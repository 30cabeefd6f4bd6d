//! How a node with kubelet and containerd shall be, and its start.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use oci_archive::{Entry, Image, Platform, architecture};

use super::machine::Disk;
use super::multus::Multus;
use super::{Inner, Running, Worker, ensure_runc};
use crate::cluster::Cluster;
use crate::guardian;
use crate::kubeconfig::Kubeconfig;
use crate::segment::{Segment, relay_service};
use crate::tools::Tool;

const KUBELET: &str = include_str!("kubelet.yaml");
const CONTAINERD: &str = include_str!("containerd.toml");

const RESERVED: &str =
    "registerWithTaints: [{key: testbed.local/reserved, value: \"true\", effect: NoSchedule}]\n";

/// What containerd needs in a node's plugin folder, and what pods are attached by.
const PLUGINS: [Tool; 4] = [Tool::Loopback, Tool::Macvlan, Tool::Bridge, Tool::HostLocal];

/// The client certificate as kubelet keeps it: certificate and key in one file.
const CERTIFICATE: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";

/// The image of sandboxes, and of pods that only have to be there.
pub(crate) const PAUSE_IMAGE: &str = "local.test/pause:1";

/// A node with kubelet and containerd, to be started.
#[derive(Clone, Debug)]
pub struct WorkerBuilder {
    cluster: Cluster,
    name: String,
    segment: Segment,
    labels: Vec<String>,
    reserved: bool,
    network: Option<serde_json::Value>,
    plugins: Vec<PathBuf>,
    images: Vec<PathBuf>,
    pub(super) multus: Option<Multus>,
}

impl WorkerBuilder {
    pub(crate) fn new(cluster: Cluster, name: &str, segment: &Segment) -> Self {
        Self {
            cluster,
            name: name.to_owned(),
            segment: segment.clone(),
            labels: Vec::new(),
            reserved: false,
            network: None,
            plugins: Vec::new(),
            images: Vec::new(),
            multus: None,
        }
    }

    /// With this label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.push(format!("{key}={value}"));
        self
    }

    /// Only pods that name it, or that tolerate everything, run on it: no scheduler sends others.
    #[must_use]
    pub fn reserved(mut self) -> Self {
        self.reserved = true;
        self
    }

    /// With this plugin in `/opt/cni/bin`.
    #[must_use]
    pub fn plugin(mut self, program: &Path) -> Self {
        self.plugins.push(program.to_owned());
        self
    }

    /// With the image of this OCI archive.
    #[must_use]
    pub fn image(mut self, archive: &Path) -> Self {
        self.images.push(archive.to_owned());
        self
    }

    /// With this CNI configuration, a list of plugins.
    #[must_use]
    pub fn network(mut self, configuration: serde_json::Value) -> Self {
        self.network = Some(configuration);
        self
    }

    /// Starts it, with kubelet and containerd. A node without a network is not ready.
    pub async fn start(self) -> Result<Worker> {
        ensure_runc()?;
        let dir = self.cluster.dir().join("workers").join(&self.name);
        let worker = self.boot(&dir)?;
        self.furnish(&worker)?;
        worker.start_multus()?;
        worker.start_containerd().await?;
        worker.import_image(&pause_image(&self.cluster)?)?;
        for archive in &self.images {
            worker.import_image(archive)?;
        }
        worker.start_kubelet()?;
        Ok(worker)
    }

    /// The machine alone.
    fn boot(&self, dir: &Path) -> Result<Worker> {
        std::fs::create_dir_all(dir).context("make the folder of a node")?;
        let number = guardian::run()?.number();
        // RFC 2544: no network of anyone's.
        let address = format!("198.18.{}.{}", number / 250, number % 250 + 2);
        let uplink = self.segment.join(&self.cluster)?;
        uplink
            .netns()
            .ip(&format!("address add {address}/15 dev eth0"))?;
        self.segment.serve_api(&self.cluster)?;
        let service = relay_service(uplink.netns(), &self.cluster)?;
        let disk = Disk::new(dir, &format!("worker{number}"))?;
        let machine = disk.boot(uplink.netns())?;
        Ok(Worker(Arc::new(Inner {
            cluster: self.cluster.clone(),
            name: self.name.clone(),
            labels: self.labels.clone(),
            multus: self.multus.clone(),
            address,
            dir: dir.to_owned(),
            running: Mutex::new(Running {
                kubelet: None,
                containerd: None,
                multus: None,
                machine,
            }),
            _service: service,
            uplink,
            disk,
        })))
    }

    /// The node's files: configurations, identity, plugins.
    fn furnish(&self, worker: &Worker) -> Result<()> {
        worker.write("/etc/containerd/config.toml", CONTAINERD)?;
        let taints = if self.reserved { RESERVED } else { "" };
        worker.write(
            "/var/lib/kubelet/config.yaml",
            &format!("{KUBELET}{taints}"),
        )?;
        let (kubeconfig, certificate) = identity(&self.cluster, &self.name)?;
        worker.write(CERTIFICATE, &certificate)?;
        worker.write("/etc/kubernetes/kubelet.conf", &kubeconfig)?;
        // Where it is missing, kubelet looks for it every now and then; where it is there, it
        // watches it.
        std::fs::create_dir_all(worker.file("/etc/kubernetes/manifests"))?;
        for tool in PLUGINS {
            worker.install(&self.cluster.tool(tool), "/opt/cni/bin")?;
        }
        for plugin in &self.plugins {
            worker.install(plugin, "/opt/cni/bin")?;
        }
        if let Some(network) = &self.network {
            let name = network["name"]
                .as_str()
                .context("a network without a name")?;
            let path = format!("/etc/cni/net.d/10-{name}.conflist");
            let network = match &self.multus {
                Some(multus) => multus.before(network),
                None => network.clone(),
            };
            worker.write(&path, &network.to_string())?;
        }
        if self.multus.is_some() {
            Multus::furnish(worker)?;
        }
        Ok(())
    }
}

/// A kubeconfig as kubeadm writes it, and the certificate that it names.
fn identity(cluster: &Cluster, name: &str) -> Result<(String, String)> {
    let now = SystemTime::now();
    let day = Duration::from_hours(24);
    let pair = cluster.node_certificate(name, now - day, now + day)?;
    let kubeconfig = Kubeconfig::new(&cluster.url(0))
        .ca(&cluster.ca_pem())
        .client_certificate_file(Path::new(CERTIFICATE));
    Ok((
        kubeconfig.to_yaml()?,
        format!("{}{}", pair.certificate, pair.key),
    ))
}

/// The archive of the image that only has to be there, written once per cluster.
fn pause_image(cluster: &Cluster) -> Result<PathBuf> {
    let path = cluster.dir().join("pause.tar");
    if !path.exists() {
        let program = std::fs::read(cluster.tool(Tool::Pause)).context("read pause")?;
        let image = Image {
            name: PAUSE_IMAGE.to_owned(),
            entrypoint: vec!["/pause".to_owned()],
            user: String::new(),
            labels: [].into(),
            platforms: vec![Platform {
                architecture: architecture(std::env::consts::ARCH).to_owned(),
                files: vec![Entry {
                    path: "pause".to_owned(),
                    content: program,
                    executable: true,
                }],
            }],
            compressed: false,
        };
        let draft = path.with_extension(guardian::run()?.number().to_string());
        image.write(&draft)?;
        std::fs::rename(&draft, &path).context("write the image of sandboxes")?;
    }
    Ok(path)
}
