//! Nodes whose `/etc/nsswitch.conf` names modules of another C library: names are resolved without
//! loading them.
//!
//! On Flatcar and Amazon Linux 2023 a lookup by the C library loads `libnss_mymachines.so.2` and
//! `libnss_resolve.so.2`, built against the node's own C library, into a static program, which then
//! dies of a signal.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::PLUGIN;
use crate::env::Isolation;

const COLLECTOR: &str = env!("CARGO_BIN_EXE_leasehold-gc");

/// A name that the server's certificate has and that only the root's own `/etc/hosts` knows.
const HOST: &str = "kubernetes.default.svc";

/// A module that ends the process that loads it. It needs no library, so nothing keeps it from
/// being loaded.
const MODULE: &str =
    "__attribute__((constructor)) static void loaded(void) { __builtin_trap(); }\n";

/// The root of a node's file system, as far as a lookup reads it.
pub struct Root(pub PathBuf);

impl Root {
    pub fn new(folder: PathBuf) -> Result<Self> {
        let root = Self(folder);
        let arch = std::env::consts::ARCH;
        let libraries = [
            format!("lib/{arch}-linux-gnu"),
            format!("usr/lib/{arch}-linux-gnu"),
            "lib64".to_owned(),
            "usr/lib64".to_owned(),
            "lib".to_owned(),
            "usr/lib".to_owned(),
        ];
        for folder in libraries.iter().map(String::as_str).chain(["dev", "etc"]) {
            fs::create_dir_all(root.0.join(folder))?;
        }
        // Retries take their jitter from there (Linux, "random(4)"), and programs that are run
        // their stdin.
        for (name, minor) in [("null", "3"), ("random", "8"), ("urandom", "9")] {
            let device = root.0.join("dev").join(name);
            let made = Command::new("mknod")
                .arg(&device)
                .args(["c", "1", minor])
                .output()
                .context("run mknod")?;
            ensure!(made.status.success(), "{made:?}");
        }
        root.write(
            "etc/nsswitch.conf",
            "hosts: mymachines resolve [!UNAVAIL=return] files myhostname dns\n",
        )?;
        root.write("etc/hosts", &format!("127.0.0.1 localhost {HOST}\n"))?;
        root.write("etc/resolv.conf", "nameserver 127.0.0.1\n")?;
        root.write("module.c", MODULE)?;
        let module = root.0.join("module.so");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-nostdlib", "-o"])
            .arg(&module)
            .arg(root.0.join("module.c"))
            .output()
            .context("run cc, which Rust's own linker needs too")?;
        ensure!(compiled.status.success(), "{compiled:?}");
        for folder in libraries {
            for name in ["mymachines", "resolve", "files", "myhostname", "dns"] {
                let library = format!("{folder}/libnss_{name}.so.2");
                fs::copy(&module, root.0.join(library))?;
            }
        }
        for program in [PLUGIN, COLLECTOR] {
            let name = Path::new(program).file_name().context("a program's name")?;
            fs::copy(program, root.0.join(name))?;
        }
        Ok(root)
    }

    /// Writes a file, and makes the folders above it.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.0.join(name.trim_start_matches('/'));
        let parent = path.parent().context("a folder")?;
        fs::create_dir_all(parent)?;
        fs::write(&path, text).with_context(|| format!("write {name}"))
    }

    /// A DEL by the plugin in it, which has to search, and says nothing when it has.
    fn del(&self) -> Result<()> {
        let config = json!({
            "cniVersion": "1.1.0", "name": "net", "type": "macvlan",
            "ipam": {"type": "leasehold", "kubeconfig": "/kubeconfig"},
        });
        let variables = [
            ("CNI_COMMAND", "DEL"),
            ("CNI_CONTAINERID", "name-service"),
            ("CNI_IFNAME", "eth0"),
            ("CNI_PATH", "/"),
        ];
        let del = self.run(&["/leasehold"], &variables, &config.to_string())?;
        ensure!(
            del.status.success() && del.stderr.is_empty(),
            "the plugin: {del:?}"
        );
        Ok(())
    }

    /// Runs a program in this root, with this on stdin.
    pub fn run(&self, args: &[&str], env: &[(&str, &str)], stdin: &str) -> Result<Output> {
        let mut child = Command::new("chroot")
            .arg(&self.0)
            .args(args)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("run chroot")?;
        let mut pipe = child.stdin.take().context("stdin")?;
        pipe.write_all(stdin.as_bytes())?;
        drop(pipe);
        Ok(child.wait_with_output()?)
    }
}

#[tokio::test]
async fn a_server_is_found_by_name_without_the_modules_of_the_nodes_c_library() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let folder = env.cluster.dir().join("name-service");
    let root = Root::new(folder)?;
    let url = env.cluster.url(0);
    let port = url.rsplit(':').next().context("a port")?;
    let server = format!("https://{HOST}:{port}");
    let identity = env.node.identity().server(&server);
    identity.write(&root.0.join("kubeconfig"))?;
    let admin = fs::read_to_string(env.cluster.kubeconfig())?;
    root.write("admin.kubeconfig", &admin.replace(&url, &server))?;

    root.del()?;
    let gc = ["/leasehold-gc", "--kubeconfig", "/admin.kubeconfig"];
    let gc = root.run(&[&gc[..], &["--dry-run"]].concat(), &[], "")?;
    // 1: something else on the shared cluster needs a person; 2: it could not read the cluster.
    ensure!(
        matches!(gc.status.code(), Some(0 | 1)),
        "the collector ended with {}: {}",
        gc.status,
        String::from_utf8_lossy(&gc.stderr)
    );
    let text = String::from_utf8_lossy(&gc.stdout);
    let summary = text.lines().last().unwrap_or_default();
    ensure!(summary.starts_with("read "), "the collector: {summary}");
    Ok(())
}

/// A socket whose queue is full: the kernel drops what else comes, as a host does that is off.
struct Swallowing {
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl Swallowing {
    async fn at(address: SocketAddr) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(address)?;
        let listener = socket.listen(0)?;
        let mut queued = Vec::new();
        let patience = Duration::from_millis(500);
        while let Ok(connection) = timeout(patience, TcpStream::connect(address)).await {
            queued.push(connection?);
        }
        Ok(Self {
            _listener: listener,
            _queued: queued,
        })
    }
}

#[tokio::test]
async fn an_address_that_swallows_packets_does_not_hold_up_the_others_of_a_name() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let root = Root::new(env.cluster.dir().join("several-addresses"))?;
    let url = env.cluster.url(0);
    let port: u16 = url.rsplit(':').next().context("a port")?.parse()?;
    let identity = env
        .node
        .identity()
        .server(&format!("https://{HOST}:{port}"));
    identity.write(&root.0.join("kubeconfig"))?;
    let _swallowing = Swallowing::at(([127, 0, 0, 2], port).into()).await?;
    // The second is refused at once, the third does not exist here, and the last one is the
    // server's.
    let addresses = ["127.0.0.2", "127.0.0.3", "2001:db8::1", "127.0.0.1"];
    let lines: Vec<String> = (addresses
        .iter()
        .map(|address| format!("{address} {HOST}\n")))
    .collect();
    root.write("etc/hosts", &lines.concat())?;
    let begun = Instant::now();
    root.del()?;
    // Less than one address has.
    ensure!(
        begun.elapsed() < Duration::from_secs(9),
        "{:?}",
        begun.elapsed()
    );
    Ok(())
}
