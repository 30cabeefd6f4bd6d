//! The error of a pod that gets no address: short enough for an event, and its first line says what
//! to do.

mod forbidden;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::env::{Isolation, TestEnv};

const IPPOOL: &str = "ipam.leasehold.io/ippool";
const IPPOOLS: &str = "ipam.leasehold.io/ippools";
const ROUTES: &str = "ipam.leasehold.io/routes";

/// An event has room for 1,024 bytes, and kubelet, the runtime and an interface plugin write some
/// 250 in front.
const ROOM: usize = 1024 - 250;

/// An environment, and the errors of its pods.
struct Refusals {
    env: TestEnv,
    lines: Vec<String>,
}

impl Refusals {
    async fn at(env: &'static str) -> Result<Self> {
        let env = Isolation::vrf(env).start().await?;
        Ok(Self {
            env,
            lines: Vec::new(),
        })
    }

    /// Attaches a pod with this annotation in vain, and keeps its error.
    async fn record(&mut self, annotation: &str, text: &str, config: (&str, Value)) -> Result<()> {
        let pod = self.env.pod(&format!("pod-{}", self.lines.len()));
        let pod = match annotation {
            "" => pod,
            annotation => pod.annotation(annotation, text),
        };
        let outcome = self
            .env
            .eth0(&pod.create().await?)?
            .set(config.0, config.1)
            .add()
            .await?;
        let error = outcome.json()?;
        let [msg, details] =
            ["msg", "details"].map(|field| error[field].as_str().unwrap_or_default());
        // As libcni joins them.
        let event = format!("{msg}; {details}");
        ensure!(
            !event.contains('\n') && event.len() <= ROOM,
            "{} bytes: {event}",
            event.len()
        );
        let lines = [format!("{}: {msg}", error["code"]), details.to_owned()];
        self.lines.push(lines.join("\n     ").trim_end().to_owned());
        Ok(())
    }
}

const NOTHING: (&str, Value) = ("nothing", Value::Null);

#[tokio::test]
async fn the_error_of_a_pod_that_no_pool_serves_says_what_to_change() -> Result<()> {
    let mut refusals = Refusals::at("refused").await?;
    refusals.record("", "", NOTHING).await?;
    let elsewhere = json!({"nodeName": ["elsewhere"]});
    refusals
        .env
        .pool_of("refused-elsewhere", "10.1.0.0/24", elsewhere)
        .await?;
    refusals
        .env
        .pool_of("refused-disabled", "10.2.0.0/24", json!({"disable": true}))
        .await?;
    let one = json!({"ips": ["10.3.0.7"]});
    refusals
        .env
        .pool_of("refused-full", "10.3.0.0/24", one)
        .await?;
    let first = refusals
        .env
        .pod("first")
        .annotation(IPPOOL, r#"{"ipv4":["refused-full"]}"#);
    assert_eq!(refusals.env.pools_for(first).await?, "refused-full");
    for pools in [
        r#"{"ipv4":["refused-missing"]}"#,
        r#"{"ipv4":["refused-elsewhere","refused-missing"]}"#,
        r#"{"ipv4":["refused-disabled"]}"#,
        r#"{"ipv6":["refused-full"]}"#,
        r#"{"ipv4":["refused-*"]}"#,
    ] {
        refusals.record(IPPOOL, pools, NOTHING).await?;
    }
    let asking = ("runtimeConfig", json!({"ips": ["10.3.0.7"]}));
    refusals
        .record(IPPOOL, r#"{"ipv4":["refused-full"]}"#, asking)
        .await?;
    let asking = ("runtimeConfig", json!({"ips": ["10.9.0.7"]}));
    refusals
        .record(IPPOOL, r#"{"ipv4":["refused-full"]}"#, asking)
        .await?;
    let node = refusals.env.node.name();
    insta::assert_snapshot!(refusals.lines.join("\n").replace(node, "NODE"), @r#"
    101: no IPv4 or IPv6 pool for this pod: set "default: true" in an IPPool with IPv4 addresses, or name one in the pod's annotation ipam.leasehold.io/ippool
         IPv4 from the default pools: there are none; IPv6 from the default pools: there are none
    101: no IPv4 pool for this pod: create IPPool refused-missing or correct the pod's annotation ipam.leasehold.io/ippool
         IPv4 from the pod's annotation ipam.leasehold.io/ippool: refused-missing: does not exist; IPv6 from the default pools: there are none
    101: no IPv4 or IPv6 pool for this pod: correct nodeName of IPPool refused-elsewhere, or name another pool: node NODE is not listed (nodeName)
         IPv4 from the pod's annotation ipam.leasehold.io/ippool: refused-elsewhere: node NODE is not listed (nodeName); refused-missing: does not exist; IPv6 from the default pools: there are none
    101: no IPv4 or IPv6 pool for this pod: set "disable: false" in IPPool refused-disabled, or name another pool
         IPv4 from the pod's annotation ipam.leasehold.io/ippool: refused-disabled: disabled; IPv6 from the default pools: there are none
    101: no IPv4 or IPv6 pool for this pod: IPPool refused-full has IPv4 addresses: name it as an IPv4 pool, or name another pool
         IPv4 from the default pools: there are none; IPv6 from the pod's annotation ipam.leasehold.io/ippool: refused-full: has IPv4 addresses
    100: no free IPv4 address in refused-full (1 address: 1 held): enlarge a pool or name a backup
         IPv4 from the pod's annotation ipam.leasehold.io/ippool: refused-elsewhere: node NODE is not listed (nodeName); refused-disabled: disabled; refused-full: fits; IPv6 from the default pools: there are none
    102: 10.3.0.7 was requested and is held by refused/first (eth0 on NODE): request another
         IPv4 from the pod's annotation ipam.leasehold.io/ippool: refused-full: fits; IPv6 from the default pools: there are none
    102: 10.9.0.7 was requested, and no pool of this pod has it: request one of refused-full
         IPv4 from the pod's annotation ipam.leasehold.io/ippool: refused-full: fits; IPv6 from the default pools: there are none
    "#);
    Ok(())
}

#[tokio::test]
async fn three_broken_forms_of_an_annotation_have_three_messages() -> Result<()> {
    let mut refusals = Refusals::at("broken").await?;
    for (annotation, broken) in [
        (IPPOOL, r#"{"ipv4":"a"}"#),
        (IPPOOL, r#"{"ipv4":["a"],"ipv5":["b"]}"#),
        (IPPOOL, r#"{"ipv4":["a",]}"#),
        (IPPOOLS, r#"{"ipv4":["a"]}"#),
        (IPPOOLS, r#"[{"interface":"eth0"},{"ipv4":["a"]}]"#),
        (IPPOOLS, r#"[{"interface":"eth1","ipv4":["a"]}]"#),
        (ROUTES, r#"[{"dst":"10.0.0.0","gw":"10.1.0.1"}]"#),
        (ROUTES, r#"[{"dst":"10.0.0.0/8","via":"10.1.0.1"}]"#),
        (ROUTES, r#"[{"dst":"10.0.0.0/8","gw":"fd00::1"}]"#),
    ] {
        if refusals.lines.len() == 6 {
            refusals
                .env
                .pool_of("broken-pool", "10.1.0.0/24", json!({"default": true}))
                .await?;
        }
        refusals.record(annotation, broken, NOTHING).await?;
    }
    insta::assert_snapshot!(refusals.lines.join("\n"), @r#"
    7: the pod's annotation ipam.leasehold.io/ippool at $.ipv4 (line 1, column 11): invalid type: string "a", expected a list of names of pools; for example {"ipv4":["a","b"],"ipv6":["c"]}
    7: the pod's annotation ipam.leasehold.io/ippool at $.ipv5 (line 1, column 21): unknown key "ipv5"; did you mean ipv4?; for example {"ipv4":["a","b"],"ipv6":["c"]}
    7: the pod's annotation ipam.leasehold.io/ippool at $.ipv4 (line 1, column 14): trailing comma; for example {"ipv4":["a","b"],"ipv6":["c"]}
    7: the pod's annotation ipam.leasehold.io/ippools at $ (line 1, column 1): invalid type: map, expected a list of objects; for example [{"interface":"eth0","ipv4":["a"],"ipv6":["b"]}]
    7: the pod's annotation ipam.leasehold.io/ippools at $[1].interface: either all items name their interface, or none does; for example [{"interface":"eth0","ipv4":["a"],"ipv6":["b"]}]
    7: the pod's annotation ipam.leasehold.io/ippools must name eth0 too: it names eth1
    7: the pod's annotation ipam.leasehold.io/routes at $[0].dst (line 1, column 18): "10.0.0.0" is not a CIDR; for example [{"dst":"10.0.0.0/8","gw":"10.6.0.1"}]
    7: the pod's annotation ipam.leasehold.io/routes at $[0].via (line 1, column 27): unknown key "via"; known are dst, gw; for example [{"dst":"10.0.0.0/8","gw":"10.6.0.1"}]
    7: the pod's annotation ipam.leasehold.io/routes at $[0]: 10.0.0.0/8 and fd00::1 are of two address families; for example [{"dst":"10.0.0.0/8","gw":"10.6.0.1"}]
    "#);
    Ok(())
}

#[tokio::test]
async fn long_names_and_many_pools_leave_an_event_readable() -> Result<()> {
    let mut refusals = Refusals::at("long").await?;
    let name = |kind: &str, number: u32| format!("long-{kind}-{number:02}-{}", "x".repeat(230));
    let names = |kind| (0..12).map(|number| name(kind, number)).collect::<Vec<_>>();
    for number in 0..12 {
        let subnet = format!("10.{number}.0.0/24");
        let strange =
            json!({"namespaceName": [format!("{}", "n".repeat(63))], "disable": number % 2 == 0});
        refusals
            .env
            .pool_of(&name("strange", number), &subnet, strange)
            .await?;
        let full = json!({"ips": [format!("10.{number}.0.7")]});
        refusals
            .env
            .pool_of(&name("full", number), &subnet, full)
            .await?;
        let pools = json!({"ipv4": [name("full", number)]}).to_string();
        refusals
            .env
            .pools_for(
                refusals
                    .env
                    .pod(&format!("first-{number}"))
                    .annotation(IPPOOL, &pools),
            )
            .await?;
    }
    for pools in [
        json!({"ipv4": names("full")}),
        json!({"ipv4": names("strange")}),
        json!({"ipv4": names("missing")}),
        json!({"ipv4": [name("strange", 0)], "ipv6": names("missing")}),
    ] {
        refusals.record(IPPOOL, &pools.to_string(), NOTHING).await?;
    }
    let broken = json!([{"interface": "e".repeat(1000), "ipv4": [name("full", 0)]}]).to_string();
    refusals.record(IPPOOLS, &broken, NOTHING).await?;
    Ok(())
}
