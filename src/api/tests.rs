use std::collections::BTreeSet;

use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::*;
use crate::ip::Vrf;

/// What is written is what was read, and the document has every field of its kind.
fn comes_back_as_it_was<T: DeserializeOwned + Serialize>(yaml: &str) {
    let written: Value = serde_norway::from_str(yaml).unwrap();
    let read: T = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), written);
}

#[test]
fn a_pool_comes_back_as_it_was() {
    comes_back_as_it_was::<IPPool>(
        r#"
apiVersion: leasehold.io/v1alpha1
kind: IPPool
metadata:
  name: zone-b
spec:
  subnet: 10.6.0.0/16
  ips: [10.6.0.10-10.6.0.99, 10.6.1.0/24, 10.6.0.9]
  excludeIPs: [10.6.1.1]
  gateway: 10.6.0.1
  routes:
  - {dst: 192.168.0.0/16, gw: 10.6.0.2}
  default: true
  disable: true
  podAffinity: {matchLabels: {app: web}}
  namespaceAffinity: {matchExpressions: [{key: tier, operator: In, values: [a, b]}]}
  nodeAffinity: {matchExpressions: [{key: zone, operator: Exists}]}
  namespaceName: [shop]
  nodeName: [node-1]
  multusName: [kube-system/macvlan-100]
  vrf: blue
  cooldownSeconds: 60
status:
  capacity: 345
  held: 1
  cooling: 2
  retained: 3
  quarantined: 4
  free: 335
  reclaimed: 5
  conditions:
  - type: Overlapping
    status: "True"
    reason: SharedAddresses
    message: shares 10.6.1.0/24 with the pool zone-a
    lastTransitionTime: "2026-01-31T12:00:00Z"
  observedAt: "2026-01-31T12:00:00.000000Z"
"#,
    );
}

#[test]
fn a_claim_comes_back_as_it_was() {
    comes_back_as_it_was::<IPClaim>(
        r#"
apiVersion: leasehold.io/v1alpha1
kind: IPClaim
metadata:
  name: web
  namespace: shop
spec:
  addresses: [10.6.0.9, 10.6.0.20-10.6.0.29]
  size: 4
  pools: [a]
  vrf: blue
  owner: {group: apps, kind: Deployment, name: web, interface: eth0, network: net, subnet: vlan-100}
  reclaim: false
status:
  addresses: [10.6.0.9]
  confirmed: [10.6.0.9]
  leaving: [10.6.0.20]
  size: 1
  used: 1
  maker: {pod: web-1, node: n1, container: c1, renewals: 3}
  writer: {pod: web-1, node: n1, container: c1}
  conditions:
  - type: Ready
    status: "True"
    reason: Confirmed
    message: ""
    lastTransitionTime: "2026-01-31T12:00:00Z"
  observedGeneration: 2
"#,
    );
}

#[test]
fn a_subnet_comes_back_as_it_was() {
    comes_back_as_it_was::<Subnet>(
        r#"
apiVersion: leasehold.io/v1alpha1
kind: Subnet
metadata:
  name: vlan-100
spec:
  subnet: fd00:6::/64
  ips: ["fd00:6::100-fd00:6::1ff"]
  excludeIPs: ["fd00:6::110"]
  gateway: fd00:6::1
  routes:
  - {dst: "fd00:7::/64", gw: "fd00:6::2"}
  namespaceAffinity: {matchLabels: {team: shop}}
  nodeAffinity: {matchLabels: {zone: b}}
  vrf: blue
"#,
    );
}

#[test]
fn a_reserved_ip_comes_back_as_it_was() {
    comes_back_as_it_was::<ReservedIP>(
        r#"
apiVersion: leasehold.io/v1alpha1
kind: ReservedIP
metadata:
  name: printers
spec:
  ips: [10.6.0.200-10.6.0.220, "fd00:6::200"]
  vrf: blue
  reason: the printers of the third floor
"#,
    );
}

/// As the server stores it, with everything that a lease may have.
const LEASE: &str = r#"
apiVersion: leasehold.io/v1alpha1
kind: IPLease
metadata:
  name: blue.10.6.0.9
spec:
  address: 10.6.0.9
  vrf: blue
  pool: zone-b
  state: Held
  holder:
    namespace: shop
    pod: vm-0-a
    uid: 7f0c1c5e-1b1f-4f0e-9a57-6b1a3c5f9a11
    node: node-1
    container: 1f7d
    interface: eth0
    network: macvlan-100
  coHolder:
    namespace: shop
    pod: vm-0-b
    uid: 0d9c8b7a-1b1f-4f0e-9a57-6b1a3c5f9a11
    node: node-2
    container: 2e6c
    interface: eth0
    network: macvlan-100
  claim:
    kind: Pod
    namespace: shop
    name: vm-0
    interface: eth0
    network: macvlan-100
    owner: {group: kubevirt.io, kind: VirtualMachine, name: vm}
  cooldownSeconds: 60
  terminationGracePeriodSeconds: 600
  heldSince: "2026-01-31T12:00:00.123456Z"
  releasedAt: "2026-01-31T11:00:00.000001Z"
  quarantinedUntil: "2026-01-31T13:00:00.000000Z"
  foreignMAC: 02:00:00:00:00:01
"#;

#[test]
fn a_lease_comes_back_as_it_was() {
    comes_back_as_it_was::<IPLease>(LEASE);
}

#[test]
fn a_lease_keeps_what_a_newer_version_wrote() {
    let mut lease: Value = serde_norway::from_str(LEASE).unwrap();
    let spec = &mut lease["spec"];
    spec["later"] = json!({"a": [1, "b"]});
    spec["holder"]["later"] = json!(null);
    spec["coHolder"]["later"] = json!("c");
    spec["claim"]["later"] = json!(1.5);
    spec["claim"]["owner"]["later"] = json!(true);
    spec["claim"]["kind"] = json!("Machine");
    comes_back_as_it_was::<IPLease>(&lease.to_string());
}

#[test]
fn fields_of_a_newer_version_spoil_nothing() {
    for spec in [
        json!({"subnet": "10.6.0.0/16", "later": {"a": 1}}),
        json!({"subnet": "10.6.0.0/16", "routes": [{"dst": "10.0.0.0/8", "gw": "10.6.0.1", "metric": 7}]}),
    ] {
        serde_json::from_value::<IPPoolSpec>(spec.clone()).unwrap();
        serde_json::from_value::<SubnetSpec>(spec).unwrap();
    }
    serde_json::from_value::<ReservedIPSpec>(json!({"ips": [], "later": true})).unwrap();
    serde_json::from_value::<IPPoolStatus>(json!({"free": 1, "later": [1]})).unwrap();
}

#[test]
fn a_state_of_a_newer_version_is_read_and_never_written() {
    let spec: IPLeaseSpec =
        serde_json::from_value(json!({"address": "10.6.0.9", "state": "Lent"})).unwrap();
    assert_eq!(spec.state, State::Unknown);
    assert!(serde_json::to_value(spec).is_err());
}

#[test]
fn what_is_not_written_has_the_default_of_the_schema() {
    let pool: IPPoolSpec = serde_json::from_value(json!({"subnet": "10.6.0.0/16"})).unwrap();
    let built = IPPoolSpec {
        subnet: "10.6.0.0/16".into(),
        ..IPPoolSpec::default()
    };
    assert_eq!(pool, built);
    assert_eq!(pool.cooldown_seconds, 30);

    let lease: IPLeaseSpec =
        serde_json::from_value(json!({"address": "10.6.0.9", "state": "Held"})).unwrap();
    let built = IPLeaseSpec {
        address: "10.6.0.9".into(),
        ..IPLeaseSpec::default()
    };
    assert_eq!(lease, built);
    assert_eq!(lease.cooldown_seconds, 30);
}

#[test]
fn a_lease_is_named_by_its_address() {
    for (vrf, address, name) in [
        ("", "10.6.0.9", "10.6.0.9"),
        ("", "0.0.0.0", "0.0.0.0"),
        ("blue", "10.6.0.9", "blue.10.6.0.9"),
        ("", "fd00::a", "fd00-0-0-0-0-0-0-a"),
        ("", "::", "0-0-0-0-0-0-0-0"),
        (
            "",
            "2001:db8:0:10:200:3000:4:5",
            "2001-db8-0-10-200-3000-4-5",
        ),
        ("blue", "fd00::a", "blue.fd00-0-0-0-0-0-0-a"),
    ] {
        assert_eq!(
            lease_name(&vrf.parse().unwrap(), address.parse().unwrap()),
            name
        );
    }
}

fn vrfs() -> impl Strategy<Value = Vrf> {
    // Short and of letters that addresses have, so that names come close to each other.
    "([a-f][a-f0-9-]{0,3}[a-f0-9])?".prop_map(|vrf| vrf.parse().unwrap())
}

fn addresses() -> impl Strategy<Value = std::net::IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(Into::into),
        any::<[u16; 8]>().prop_map(Into::into),
        prop::array::uniform8(0..2_u16).prop_map(Into::into),
    ]
}

proptest! {
    #[test]
    fn no_two_addresses_share_a_name(pairs in prop::collection::btree_set((vrfs(), addresses()), 2..40)) {
        let names: BTreeSet<String> = pairs.iter().map(|(vrf, address)| lease_name(vrf, *address)).collect();
        prop_assert_eq!(names.len(), pairs.len());
    }

    #[test]
    fn a_name_is_one_that_an_object_may_have(vrf in vrfs(), address in addresses()) {
        let name = lease_name(&vrf, address);
        let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        prop_assert!(name.len() <= 253);
        let labels = |label: &str| {
            label.starts_with(edge) && label.ends_with(edge) && label.chars().all(|c| edge(c) || c == '-')
        };
        prop_assert!(name.split('.').all(labels), "{}", name);
    }
}
