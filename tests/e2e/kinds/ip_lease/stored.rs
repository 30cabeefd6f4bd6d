//! What becomes of a lease that is stored: its name, its fields in a selector, its row in a table.

use std::net::{IpAddr, Ipv6Addr};

use anyhow::{Context, Result, ensure};
use http::Request;
use http::header::ACCEPT;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use kube::{Resource, ResourceExt};
use leasehold::api::{ClaimRef, Holder, IPLease, IPLeaseSpec, State, lease_name};
use leasehold::ip::Vrf;
use serde_json::{Value, json};

use super::super::Judge;

/// Rust and the server write every address in the same way, wherever its zeros are.
#[tokio::test]
async fn every_address_has_the_name_that_the_server_admits() -> Result<()> {
    let zeros = (0..=u8::MAX).map(|bits| {
        let group = |i| if bits >> i & 1 == 0 { 0 } else { 0xa0 };
        IpAddr::from(Ipv6Addr::from_segments(std::array::from_fn(group)))
    });
    let edges = [
        "0.0.0.0",
        "255.255.255.255",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "0:0:0:0:0:fffe:1:2",
        "64:ff9b::a00:1",
    ];
    let edges = edges.map(|address| address.parse().context(address));
    let judge = Judge::<IPLease>::new().await?;
    for address in zeros.map(Ok).chain(edges) {
        let address: IpAddr = address?;
        for vrf in ["", "blue"] {
            let name = lease_name(&vrf.parse::<Vrf>()?, address);
            let spec = IPLeaseSpec {
                address: address.to_string(),
                vrf: vrf.to_owned(),
                state: State::Retained,
                ..IPLeaseSpec::default()
            };
            let lease = serde_json::to_value(IPLease::new(&name, spec))?;
            let faults = judge.faults(None, &lease).await?;
            ensure!(faults.is_empty(), "{name}: {faults:#?}");
        }
    }
    Ok(())
}

/// A lease with everything in it, in a vrf of its own, since other tests list leases too.
fn full(vrf: &str) -> Result<IPLease> {
    let time = |text: &str| -> Result<_> { Ok(Some(serde_json::from_value(text.into())?)) };
    let holder = Holder {
        namespace: "shop".into(),
        pod: "web-0".into(),
        uid: "7f0c1c5e-1b1f-4f0e-9a57-6b1a3c5f9a11".into(),
        node: "node-1.example.org".into(),
        container: "1f7d".into(),
        interface: "eth0".into(),
        network: "macvlan-100".into(),
        ..Holder::default()
    };
    let spec = IPLeaseSpec {
        address: "198.51.100.40".into(),
        vrf: vrf.to_owned(),
        pool: "zone-b".into(),
        state: State::Retained,
        holder: Some(holder.clone()),
        co_holder: Some(holder),
        claim: Some(ClaimRef {
            namespace: "shop".into(),
            name: "web-0".into(),
            ..ClaimRef::default()
        }),
        cooldown_seconds: 60,
        termination_grace_period_seconds: 120,
        held_since: time("2026-01-31T12:00:00.123456Z")?,
        released_at: time("2026-01-31T12:00:01.000000Z")?,
        ..IPLeaseSpec::default()
    };
    Ok(IPLease::new(&format!("{vrf}.198.51.100.40"), spec))
}

/// Stores that lease, lets `look` look, and takes it away again.
async fn while_stored<T>(
    vrf: &str,
    look: impl AsyncFnOnce(&IPLease, kube::Client) -> Result<T>,
) -> Result<T> {
    let client = testbed::shared().await?.admin().await?;
    let leases: Api<IPLease> = Api::all(client.clone());
    let lease = full(vrf)?;
    let stored = leases.create(&PostParams::default(), &lease).await?;
    ensure!(stored.spec == lease.spec, "{:#?}", stored.spec);
    let seen = look(&stored, client).await;
    leases
        .delete(&stored.name_any(), &DeleteParams::default())
        .await?;
    seen
}

#[tokio::test]
async fn a_lease_is_one_field_to_its_managers() -> Result<()> {
    while_stored("managed", async |lease, _| {
        let entries = lease.metadata.managed_fields.iter().flatten();
        let fields: Vec<Value> = entries
            .map(|entry| serde_json::to_value(&entry.fields_v1))
            .collect::<Result<_, _>>()?;
        ensure!(fields == [json!({"f:spec": {}})], "{fields:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_lease_is_found_by_eight_of_its_fields() -> Result<()> {
    while_stored("selected", async |lease, client| {
        let leases: Api<IPLease> = Api::all(client);
        let holder = lease.spec.holder.as_ref().context("a holder")?;
        for (field, value) in [
            ("spec.pool", "zone-b"),
            ("spec.state", "Retained"),
            ("spec.holder.node", &holder.node),
            ("spec.holder.namespace", &holder.namespace),
            ("spec.holder.uid", &holder.uid),
            ("spec.holder.container", &holder.container),
            ("spec.claim.name", "web-0"),
        ] {
            for (value, found) in [(value, 1), ("another", 0)] {
                let selector = format!("spec.vrf=selected,{field}={value}");
                let list = leases
                    .list(&ListParams::default().fields(&selector))
                    .await?;
                ensure!(list.items.len() == found, "{selector}");
            }
        }
        Ok(())
    })
    .await
}

/// What the plugin reads of a pool's leases: rows without the objects, and a release as it was
/// written down.
#[tokio::test]
async fn a_table_of_leases_has_a_column_for_each_question() -> Result<()> {
    let table = while_stored("table", async |_, client| {
        let path = IPLease::url_path(&(), None);
        let query = "includeObject=None&fieldSelector=spec.vrf%3Dtable";
        let request = Request::get(format!("{path}?{query}"))
            .header(ACCEPT, "application/json;as=Table;g=meta.k8s.io;v=v1")
            .body(Vec::new())?;
        Ok(client.request::<Value>(request).await?)
    })
    .await?;
    let columns = table["columnDefinitions"]
        .as_array()
        .context("no columns")?;
    let cells = table["rows"][0]["cells"].as_array().context("no row")?;
    let shown: Vec<String> = columns
        .iter()
        .zip(cells)
        .filter(|(column, _)| column["name"] != "Age")
        .map(|(column, cell)| format!("{} {}: {cell}", column["priority"], column["name"]))
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    0 "Name": "table.198.51.100.40"
    0 "Address": "198.51.100.40"
    0 "Pool": "zone-b"
    0 "State": "Retained"
    0 "Namespace": "shop"
    0 "Pod": "web-0"
    0 "Interface": "eth0"
    0 "Node": "node-1.example.org"
    1 "VRF": "table"
    1 "Released": "2026-01-31T12:00:01.000000Z"
    1 "Cooldown": 60
    1 "Claim": "web-0"
    1 "Claim Kind": "Pod"
    "#);
    Ok(())
}
