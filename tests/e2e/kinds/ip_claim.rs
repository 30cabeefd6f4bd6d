//! The rules of an IPClaim.

use anyhow::Result;
use leasehold::api::IPClaim;
use serde_json::{Value, json};

use super::{Judge, Rule, with};

const ONE_WAY: &str =
    "a claim says in one way which addresses it has: set either addresses, or size and pools";
const DERIVED: &str = "web-0123456789abcdef0123456789abcdef";

fn owner() -> Value {
    json!({"group": "apps", "kind": "Deployment", "name": "web", "interface": "eth0", "subnet": "s"})
}

#[tokio::test]
async fn a_claim_says_in_one_way_which_addresses_it_has() -> Result<()> {
    let size = json!({"size": 4, "pools": ["a", "b"]});
    let listed = json!({"addresses": ["10.6.0.9", "10.6.0.10-10.6.0.19", "fd00:6::9"]});
    let rules = vec![
        Rule::new("it says which", &listed, &json!({}), "spec", ONE_WAY),
        Rule::new("in one way", &size, &with(&size, &listed), "spec", ONE_WAY),
        Rule::new(
            "a size is of pools",
            &size,
            &json!({"size": 4}),
            "spec.pools",
            "size and pools go together: so many addresses of these pools",
        ),
        Rule::new(
            "a size has a bound",
            &size,
            &with(&size, &json!({"size": 1025})),
            "spec.size",
            "should be less than or equal to 1024",
        ),
        Rule::new(
            "a pool is named exactly",
            &size,
            &with(&size, &json!({"pools": ["rack-*"]})),
            "spec.pools[0]",
            "this can't be the name of a pool: write exact names, one to an item",
        ),
        Rule::new(
            "a vrf stays",
            &with(&listed, &json!({"vrf": "blue"})),
            &with(&listed, &json!({"vrf": "red"})),
            "spec.vrf",
            "the vrf can't be changed, added or removed: create another object in the other vrf",
        )
        .of_a_change(&with(&listed, &json!({"vrf": "blue"}))),
    ];
    Judge::<IPClaim>::of_a_namespace().await?.holds(rules).await
}

#[tokio::test]
async fn the_names_of_derived_claims_are_not_for_persons() -> Result<()> {
    let (listed, derived) = (
        json!({"addresses": ["10.6.0.9"]}),
        json!({"owner": owner()}),
    );
    let rules = vec![
        Rule::of_named(
            "a person's claim has another",
            ("web-0123456789abcdef", &listed),
            (DERIVED, &listed),
            "<nil>",
            "a name that ends in \"-\" and 32 hex digits is for the claims that the plugin makes: choose another",
        ),
        Rule::of_named(
            "a derived claim has one",
            (DERIVED, &derived),
            ("web", &derived),
            "<nil>",
            "the name of a claim with an owner ends in \"-\" and 32 hex digits",
        ),
    ];
    Judge::<IPClaim>::of_a_namespace().await?.holds(rules).await
}
