//! The test cluster keeps its own promises.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use testbed::{Attachment, Call, Cluster, Netns, Sandbox, Segment};

#[tokio::test]
async fn a_node_reads_its_own_pods_and_no_others() -> Result<()> {
    let cluster = testbed::shared().await?;
    let (here, there) = (
        cluster.fresh_node().create().await?,
        cluster.fresh_node().create().await?,
    );
    let own = cluster.pod("identity", "own").on(&here).create().await?;
    let other = cluster.pod("identity", "other").on(&there).create().await?;
    let pods: Api<Pod> = Api::namespaced(here.client().await?, "identity");

    let mark = cluster.mark().await?;
    assert_eq!(
        pods.get(own.name()).await?.metadata.uid.as_deref(),
        Some(own.uid())
    );
    for name in [other.name(), "missing"] {
        let refused = pods
            .get(name)
            .await
            .map_err(testbed::Refused::from)
            .map(drop);
        assert_eq!(refused.map_err(|refused| refused.code), Err(403), "{name}");
    }
    let list = ListParams::default().fields(&format!(
        "spec.nodeName={},metadata.name={}",
        here.name(),
        own.name()
    ));
    assert_eq!(pods.list(&list).await?.items.len(), 1);

    let requests = cluster.requests_since(&mark).await?;
    let of_node = requests
        .iter()
        .filter(|request| request.user() == here.user());
    let seen: Vec<_> = of_node
        .map(|request| (request.verb.as_str(), request.resource(), request.code()))
        .collect();
    let pods = || "pods".to_owned();
    assert_eq!(
        seen,
        [
            ("get", pods(), 200),
            ("get", pods(), 403),
            ("get", pods(), 403),
            ("list", pods(), 200)
        ]
    );
    Ok(())
}

#[tokio::test]
async fn a_new_kind_and_a_new_grant_act_when_apply_returns() -> Result<()> {
    let cluster = testbed::shared().await?;
    let node = cluster.fresh_node().create().await?;
    cluster.apply_yaml(include_str!("widgets.yaml")).await?;
    let widget = |name: &str, size: u8| {
        format!(
            "{{apiVersion: test.local/v1, kind: Widget, metadata: {{name: {name}}}, spec: {{size: {size}}}}}"
        )
    };
    cluster.create_yaml(&widget("fits", 3)).await?;
    let refused = cluster
        .create_yaml(&widget("large", 9))
        .await
        .err()
        .context("accepted")?;
    assert!(
        refused
            .message
            .contains("size is at most 5: buy a smaller one"),
        "{refused}"
    );
    let request = http::Request::get("/apis/test.local/v1/widgets").body(Vec::new())?;
    node.client().await?.request_text(request).await?;
    assert!(cluster.kubectl(&["get", "widgets"]).await?.contains("fits"));
    Ok(())
}

#[tokio::test]
async fn an_api_server_comes_back_on_its_port_with_what_it_knew() -> Result<()> {
    let cluster = Cluster::builder().api_servers(2).bare().start().await?;
    let node = cluster.node(&testbed::longest_node_name()).create().await?;
    cluster.kill_api_server(0);
    let nodes: Api<k8s_openapi::api::core::v1::Node> = Api::all(cluster.admin_of(1).await?);
    nodes.get(node.name()).await?;
    cluster.restart_api_server(0).await?;
    let nodes: Api<k8s_openapi::api::core::v1::Node> = Api::all(node.client().await?);
    nodes.get(node.name()).await?;
    Ok(())
}

#[tokio::test]
async fn neighbors_on_a_segment_hear_each_other() -> Result<()> {
    let cluster = testbed::shared().await?;
    let segment = Segment::new()?;
    segment.add_neighbor("10.9.0.1/24")?;
    segment.add_neighbor("fd09::1/64")?;
    let node = cluster.fresh_node().on(&segment).create().await?;
    let netns = node.netns().context("a namespace")?;
    netns.ip("address add 10.9.0.2/24 dev eth0")?;
    netns.ip("address add fd09::2/64 dev eth0")?;
    for neighbor in ["10.9.0.1", "fd09::1"] {
        netns.ping(neighbor.parse()?, Duration::from_secs(5))?;
    }
    ensure!(
        netns
            .ping("10.9.0.3".parse()?, Duration::from_millis(500))
            .is_err(),
        "an echo from nowhere"
    );
    Ok(())
}

#[tokio::test]
async fn plugins_run_as_a_runtime_runs_them() -> Result<()> {
    let cluster = testbed::shared().await?;
    let segment = Segment::new()?;
    let node = cluster.fresh_node().on(&segment).create().await?;
    let pod = cluster.pod("calls", "pod").on(&node).create().await?;
    let sandbox = Arc::new(Sandbox::new()?);
    // A stand-in for the plugin, which is another crate's: it answers with an address, and shows
    // the environment it got.
    let stub = cluster.dir().join("stub");
    std::fs::write(&stub, include_str!("stub.sh"))?;
    Command::new("chmod").arg("+x").arg(&stub).status()?;
    let eth0 = Attachment::new(&stub, &node, &pod, &sandbox)?.by_macvlan();

    let added = eth0.add().await?.success()?;
    assert_eq!(added.ips()?, eth0.ips()?);
    assert_eq!(sandbox.netns().addresses("eth0")?, added.addresses()?);
    eth0.del().await?.success()?;
    assert_eq!(sandbox.netns().addresses("eth0")?, []);
    eth0.cnitool("add")?.run().await?.success()?;
    let stem = format!("test-{}", eth0.cnitool_container()?);
    let kept = std::fs::read_dir("/var/lib/cni/results")?.flatten();
    assert_eq!(
        kept.filter(|result| result.file_name().to_string_lossy().starts_with(&stem))
            .count(),
        1
    );
    eth0.cnitool("del")?.run().await?.success()?;

    let direct = Attachment::new(&stub, &node, &pod, &sandbox)?;
    let env = direct.call("ENV")?.run().await?.success()?.stdout;
    let mut names: Vec<_> = env
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .collect();
    names.sort_unstable();
    let runtime = [
        "CNI_ARGS",
        "CNI_COMMAND",
        "CNI_CONTAINERID",
        "CNI_IFNAME",
        "CNI_NETNS",
        "CNI_PATH",
        "PATH",
    ];
    assert_eq!(
        names,
        [&runtime[..], &["PWD"]].concat(),
        "PWD is the shell's own"
    );
    Ok(())
}

#[tokio::test]
async fn a_killed_call_takes_its_children_along() -> Result<()> {
    let call = Call::new(Path::new("sh"))
        .arg("-c")
        .arg("sleep 600 & wait")
        .spawn()?;
    let children = format!("/proc/{0}/task/{0}/children", call.pid());
    while std::fs::read_to_string(&children)?.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    call.kill();
    // A child that lived on would have the pipes that this waits for.
    let outcome = call.wait().await?;
    assert_eq!(outcome.signal, Some(9));
    Ok(())
}

#[tokio::test]
async fn pods_are_made_by_the_dozen_at_once() -> Result<()> {
    let cluster = testbed::shared().await?;
    let node = cluster.fresh_node().create().await?;
    let made: Vec<_> = (0..24)
        .map(|i| {
            tokio::spawn(
                cluster
                    .pod("dozens", &format!("pod-{i}"))
                    .on(&node)
                    .create(),
            )
        })
        .collect();
    for pod in made {
        assert!(pod.await??.get().await?.is_some());
    }
    Ok(())
}

/// Not a rule but a victim: [`nothing_remains_of_a_program_that_was_killed`] runs it in a process
/// of its own.
#[tokio::test]
#[ignore = "runs until it is killed"]
async fn holds_all_that_there_is_to_hold() -> Result<()> {
    let cluster = Cluster::builder().bare().start().await?;
    let _node = cluster.node("n1").on(&Segment::new()?).create().await?;
    let _sandbox = Netns::new("left")?;
    let _call = Call::new(Path::new("sh"))
        .arg("-c")
        .arg("sleep 600 & wait")
        .spawn()?;
    let folder = cluster.dir().parent().context("the run's folder")?;
    std::fs::write(
        std::env::var("VICTIM_SAYS")?,
        folder.as_os_str().as_encoded_bytes(),
    )?;
    std::future::pending().await
}

#[test]
fn nothing_remains_of_a_program_that_was_killed() -> Result<()> {
    let says = std::env::temp_dir().join(format!("victim-{}", std::process::id()));
    let mut victim = Command::new(std::env::current_exe()?)
        .args(["--ignored", "--exact", "holds_all_that_there_is_to_hold"])
        .env("VICTIM_SAYS", &says)
        .stdout(Stdio::null())
        .spawn()?;
    let folder = within(Duration::from_mins(2), || {
        std::fs::read_to_string(&says)
            .ok()
            .filter(|text| !text.is_empty())
            .map(PathBuf::from)
    });
    let before = folder.as_deref().map(remains_of);
    victim.kill()?;
    victim.wait()?;
    std::fs::remove_file(&says)?;

    let folder = folder.context("the victim said nothing")?;
    ensure!(
        before.is_some_and(|found| found.len() >= 6),
        "nothing was there to be left behind"
    );
    let gone = within(Duration::from_mins(1), || {
        remains_of(&folder).is_empty().then_some(())
    });
    gone.with_context(|| format!("left behind: {:?}", remains_of(&folder)))
}

/// Processes, namespaces and files of a run.
fn remains_of(folder: &Path) -> Vec<PathBuf> {
    let entries = |path: &str| {
        std::fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
    };
    let processes = entries("/proc").filter(|process| {
        std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder))
    });
    let id = folder
        .file_name()
        .map(|name| name.to_string_lossy().replace("leasehold-", "lh-"))
        .unwrap_or_default();
    let namespaces = entries("/run/netns").filter(|path| path.to_string_lossy().contains(&id));
    processes
        .chain(namespaces)
        .chain(folder.exists().then(|| folder.to_owned()))
        .collect()
}

fn within<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        match look() {
            None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
            found => return found,
        }
    }
}
