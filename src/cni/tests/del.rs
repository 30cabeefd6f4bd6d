//! What DEL understands, and what it leaves to a search.

use serde_json::json;

use super::{addresses, says};

#[test]
fn del_is_understood_in_each_of_three_forms() {
    let first = says("DEL").del();
    assert_eq!(first.previous, Some(addresses(&["10.0.0.7"])));
    assert_eq!(first.remarks, Vec::<String>::new());
    assert!(first.netns.is_some() && first.pod.is_some());
    let again = says("DEL").with("CNI_NETNS", "").unset("prevResult").del();
    assert_eq!((again.netns, again.previous), (None, None));
    assert_eq!(again.remarks, Vec::<String>::new());
    assert_eq!(again.network.as_deref(), Some("storage"));
    assert!(again.config.kubeconfig.is_some());
}

#[test]
fn del_finds_the_addresses_in_every_layout_or_leaves_them_to_a_search() {
    for (result, expected) in [
        (
            json!({"ips": [{"version": "4", "address": "10.0.0.7/24"}, {"address": "fd00::7/64"}]}),
            Some(["10.0.0.7", "fd00::7"].as_slice()),
        ),
        (
            json!({"ip4": {"ip": "10.0.0.7/24", "gateway": ""}, "ip6": {"ip": "fd00::7/64"}}),
            Some(&["10.0.0.7", "fd00::7"]),
        ),
        (json!({"ips": []}), None),
        (json!({}), None),
        (json!(null), None),
        (json!("lost"), None),
        (
            json!({"ips": [{"address": "10.0.0.7/24"}, {"address": "?"}]}),
            None,
        ),
        (json!({"ips": [{"address": "10.0.0.7/24"}, 7]}), None),
    ] {
        let detach = says("DEL").set("/prevResult", result.clone()).del();
        assert_eq!(detach.previous, expected.map(addresses), "{result}");
    }
}

#[test]
fn del_does_not_take_an_address_for_a_lease_when_it_does_not_know_the_vrf() {
    for ipam in [json!({"vrf": "Not A Label"}), json!({"vrf": 7}), json!("?")] {
        let detach = says("DEL").set("/ipam", ipam.clone()).del();
        assert_eq!(detach.previous, None, "{ipam}");
    }
    let detach = says("DEL").set("/ipam/vrf", json!("blue")).del();
    assert!(detach.previous.is_some());
}
