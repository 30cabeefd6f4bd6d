//! The rules of an IPLease: what uniqueness rests on, and what each state needs.

mod stored;

use anyhow::Result;
use leasehold::api::IPLease;
use serde_json::{Value, json};

use super::{Judge, Rule, with};

const VRF_CHANGED: &str =
    "the vrf can't be changed, added or removed: create another object in the other vrf";

fn retained(address: &str) -> Value {
    json!({"state": "Retained", "address": address})
}

fn blue(address: &str) -> Value {
    with(&retained(address), &json!({"vrf": "blue"}))
}

#[tokio::test]
async fn a_lease_is_named_by_its_ipv4_address() -> Result<()> {
    let (lease, blue) = (retained("198.51.100.9"), blue("198.51.100.9"));
    let rule = |says, broken, fault| {
        Rule::of_named(
            says,
            ("198.51.100.9", &lease),
            (broken, &lease),
            "<nil>",
            fault,
        )
    };
    let in_blue = |says, broken, fault| {
        Rule::of_named(
            says,
            ("blue.198.51.100.9", &blue),
            (broken, &blue),
            "<nil>",
            fault,
        )
    };
    let (name, blue_name) = (
        "a lease is named by its address: write 198.51.100.9",
        "a lease is named by its address: write blue.198.51.100.9",
    );
    let rules = vec![
        rule("not by another one", "198.51.100.8", name),
        rule(
            "without a vrf where there is none",
            "blue.198.51.100.9",
            name,
        ),
        rule("and nothing after it", "198.51.100.9.x", name),
        in_blue(
            "not by another one of the vrf",
            "blue.198.51.100.8",
            blue_name,
        ),
        in_blue("with its vrf in front", "198.51.100.9", blue_name),
        in_blue("with no other vrf in front", "red.198.51.100.9", blue_name),
        in_blue("with a dot between them", "blue198.51.100.9", blue_name),
    ];
    Judge::<IPLease>::new().await?.holds(rules).await
}

#[tokio::test]
async fn a_lease_is_named_by_its_ipv6_address() -> Result<()> {
    let fault = "a lease is named by its address: write the eight groups of 2001:db8::9 without leading zeros \
         joined by \"-\", as in fd00-6-0-0-0-0-0-9 for fd00:6::9, and \"<vrf>.\" in front where spec.vrf is set";
    let (lease, blue) = (retained("2001:db8::9"), blue("2001:db8::9"));
    let rule = |says, broken| {
        Rule::of_named(
            says,
            ("2001-db8-0-0-0-0-0-9", &lease),
            (broken, &lease),
            "<nil>",
            fault,
        )
    };
    let in_blue = |says, broken| {
        Rule::of_named(
            says,
            ("blue.2001-db8-0-0-0-0-0-9", &blue),
            (broken, &blue),
            "<nil>",
            fault,
        )
    };
    let rules = vec![
        rule("not by another one", "2001-db8-0-0-0-0-0-8"),
        rule(
            "without a vrf where there is none",
            "blue.2001-db8-0-0-0-0-0-9",
        ),
        rule(
            "leading zeros would be a second name",
            "2001-0db8-0-0-0-0-0-9",
        ),
        rule("a short form would be a second name", "2001-db8--9"),
        rule(
            "a form with dots would be a second name",
            "2001-db8-0-0-0-0-0.0.0.9",
        ),
        in_blue("not by another one of the vrf", "blue.2001-db8-0-0-0-0-0-8"),
        in_blue("with its vrf in front", "2001-db8-0-0-0-0-0-9"),
        in_blue("with no other vrf in front", "red.2001-db8-0-0-0-0-0-9"),
    ];
    Judge::<IPLease>::new().await?.holds(rules).await
}

#[tokio::test]
async fn an_address_has_one_form() -> Result<()> {
    let no_address = "this is not an address: write one without a prefix length, for example 10.6.0.1 or fd00:6::1";
    let v4 = |says, broken| {
        let (name, kept, broken) = ("198.51.100.9", retained("198.51.100.9"), retained(broken));
        Rule::of_named(
            says,
            (name, &kept),
            (name, &broken),
            "spec.address",
            no_address,
        )
    };
    let v6 = |says, broken| {
        let (name, kept, broken) = (
            "2001-db8-0-0-0-0-0-9",
            retained("2001:db8::9"),
            retained(broken),
        );
        let fault = "this address is not in canonical form: write 2001:db8::9";
        Rule::of_named(says, (name, &kept), (name, &broken), "spec.address", fault)
    };
    let rules = vec![
        v4("it has no prefix length", "198.51.100.9/24"),
        v4("it has no leading zeros", "198.51.100.09"),
        v4("it has four numbers", "198.51.100"),
        v4(
            "it is not mapped into the other family",
            "::ffff:198.51.100.9",
        ),
        v6("it is in lower case", "2001:DB8::9"),
        v6("it has no leading zeros in a group", "2001:0db8::9"),
        v6("it is as short as it gets", "2001:db8:0:0::9"),
        v6("it has no dots", "2001:db8::0.0.0.9"),
    ];
    Judge::<IPLease>::new().await?.holds(rules).await
}

/// No other address has the same name, so that the rule of the name is broken too.
#[tokio::test]
async fn a_lease_keeps_its_address_and_its_vrf() -> Result<()> {
    let rule = |says, name, before: &Value, broken: &Value, named, at, fault| {
        let moved = json!({"state": "Cooling", "releasedAt": "2026-01-31T12:00:00.000001Z"});
        Rule::of_named(
            says,
            (name, &with(before, &moved)),
            (name, broken),
            "<nil>",
            named,
        )
        .and(at, fault)
        .of_a_change(before)
    };
    let address = |says, name, before: &Value, broken: &Value, named| {
        let fault = "the address of a lease can't change: create a lease of the other one";
        rule(says, name, before, broken, named, "spec.address", fault)
    };
    let vrf = |says, name, before: &Value, broken: &Value, named| {
        rule(says, name, before, broken, named, "spec.vrf", VRF_CHANGED)
    };
    let (v4, v4_blue) = (retained("198.51.100.20"), blue("198.51.100.20"));
    let red = with(&v4, &json!({"vrf": "red"}));
    let rules = vec![
        address(
            "an IPv4 address stays",
            "198.51.100.20",
            &v4,
            &retained("198.51.100.21"),
            "write 198.51.100.21",
        ),
        address(
            "an IPv6 address stays",
            "2001-db8-0-0-0-0-0-20",
            &retained("2001:db8::20"),
            &retained("2001:db8::21"),
            "\"<vrf>.\" in front where spec.vrf is set",
        ),
        address(
            "an address in a vrf stays",
            "blue.198.51.100.20",
            &v4_blue,
            &blue("198.51.100.21"),
            "write blue.198.51.100.21",
        ),
        vrf(
            "a vrf stays",
            "blue.198.51.100.20",
            &v4_blue,
            &red,
            "write red.198.51.100.20",
        ),
        vrf(
            "a vrf is not added",
            "198.51.100.20",
            &v4,
            &red,
            "write red.198.51.100.20",
        ),
        vrf(
            "a vrf is not taken away",
            "blue.198.51.100.20",
            &v4_blue,
            &v4,
            "write 198.51.100.20",
        ),
    ];
    Judge::<IPLease>::new().await?.holds(rules).await
}

#[tokio::test]
async fn a_state_says_what_it_needs() -> Result<()> {
    let holder =
        json!({"namespace": "shop", "pod": "web-0", "uid": "u", "node": "n1", "interface": "eth0"});
    let claim = json!({"kind": "Pod", "namespace": "shop", "name": "web-0"});
    let time = "2026-01-31T12:00:00.000001Z";
    let rules = vec![
        stated(
            "what is held has a holder",
            &json!({"state": "Held", "holder": holder}),
            &json!({"state": "Held"}),
            "spec.state",
            "a Held lease needs a holder: set holder, or set state to Retained",
        ),
        stated(
            "what is cooling has the time of its release",
            &json!({"state": "Cooling", "releasedAt": time}),
            &json!({"state": "Cooling", "holder": holder}),
            "spec.state",
            "a Cooling lease needs the time of its release: set releasedAt, for example 2026-01-31T12:00:00.000000Z",
        ),
        stated(
            "a quarantine ends",
            &json!({"state": "Quarantined", "quarantinedUntil": time, "foreignMAC": "02:00:00:00:00:01"}),
            &json!({"state": "Quarantined"}),
            "spec.state",
            "a Quarantined lease needs the end of its quarantine: set quarantinedUntil, for example 2026-01-31T12:00:00.000000Z",
        ),
        stated(
            "only a claim has two holders",
            &json!({"state": "Held", "holder": holder, "coHolder": holder, "claim": claim}),
            &json!({"state": "Held", "holder": holder, "coHolder": holder}),
            "spec.coHolder",
            "only a lease with a claim has two holders: set holder and claim too, or omit coHolder",
        ),
        stated(
            "what is cooling is kept for nothing",
            &json!({"state": "Cooling", "releasedAt": time}),
            &json!({"state": "Cooling", "releasedAt": time, "claim": claim}),
            "spec.state",
            "a lease that is Cooling has no claim: leave claim away, or set state to Retained",
        ),
        stated(
            "there are four states",
            &json!({"state": "Retained"}),
            &json!({"state": "Lent"}),
            "spec.state",
            r#"Unsupported value: "Lent": supported values: "Held", "Cooling", "Retained", "Quarantined""#,
        ),
        stated(
            "a holder is an interface of a pod",
            &json!({"holder": holder}),
            &json!({"holder": {"namespace": "shop", "pod": "web-0", "uid": "u", "node": "n1"}}),
            "spec.holder.interface",
            "Required value",
        ),
        stated(
            "an address rests for a day at most",
            &json!({"cooldownSeconds": 86_400}),
            &json!({"cooldownSeconds": 86_401}),
            "spec.cooldownSeconds",
            "should be less than or equal to 86400",
        ),
        stated(
            "a time is one",
            &json!({"heldSince": time}),
            &json!({"heldSince": "yesterday"}),
            "spec.heldSince",
            r#"must be of type date-time: "yesterday""#,
        ),
        stated(
            "a time is of this age",
            &json!({"heldSince": "1970-01-01T00:00:00Z"}),
            &json!({"heldSince": "1969-12-31T23:59:59Z"}),
            "spec.heldSince",
            "this time is out of range: write one from 1970 to 9998, for example 2026-01-31T12:00:00.000000Z",
        ),
        stated(
            "a time is one that every reader has a calendar for",
            &json!({"heldSince": "9998-12-31T23:59:59.999999Z"}),
            &json!({"heldSince": "9999-12-31T23:59:59Z"}),
            "spec.heldSince",
            "this time is out of range: write one from 1970 to 9998, for example 2026-01-31T12:00:00.000000Z",
        ),
        stated(
            "a zone does not make a time later than that",
            &json!({"heldSince": "9998-12-31T23:59:59+14:00"}),
            &json!({"heldSince": "9998-12-31T23:59:59-14:00"}),
            "spec.heldSince",
            "this time is out of range: write one from 1970 to 9998, for example 2026-01-31T12:00:00.000000Z",
        ),
    ];
    Judge::<IPLease>::new().await?.holds(rules).await
}

/// What two fields say of a lease that is kept otherwise.
fn stated(says: &'static str, kept: &Value, broken: &Value, at: &str, fault: &'static str) -> Rule {
    let name = "198.51.100.30";
    let lease = |more| with(&retained(name), more);
    Rule::of_named(
        says,
        (name, &lease(kept)),
        (name, &lease(broken)),
        at,
        fault,
    )
}

#[tokio::test]
async fn a_claim_says_what_it_names() -> Result<()> {
    let claim = json!({"kind": "Pod", "namespace": "shop", "name": "web-0"});
    let of = |more: Value| json!({"claim": with(&claim, &more)});
    let rules = vec![
        stated(
            "a claim names a pod or an IPClaim",
            &of(json!({"kind": "IPClaim"})),
            &of(json!({"kind": "Deployment"})),
            "spec.claim.kind",
            r#"Unsupported value: "Deployment": supported values: "Pod", "IPClaim""#,
        ),
        stated(
            "a claim says which of them it names",
            &of(json!({"interface": "eth0", "network": "net"})),
            &json!({"claim": {"namespace": "shop", "name": "web-0"}}),
            "spec.claim.kind",
            "Required value",
        ),
        stated(
            "the owner of a claim has a kind",
            &of(json!({"owner": {"group": "apps", "kind": "StatefulSet", "name": "web"}})),
            &of(json!({"owner": {"group": "apps", "name": "web"}})),
            "spec.claim.owner.kind",
            "Required value",
        ),
    ];
    Judge::<IPLease>::new().await?.holds(rules).await
}
