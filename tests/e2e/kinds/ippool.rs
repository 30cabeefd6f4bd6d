//! The rules of an IPPool that a Subnet does not have.

use anyhow::Result;
use leasehold::api::IPPool;
use serde_json::{Value, json};

use super::{Judge, Rule, with};

#[tokio::test]
async fn a_pool_says_whom_it_serves() -> Result<()> {
    let spec = |more: &Value| with(&json!({"subnet": "10.6.0.0/16"}), more);
    let rule = |says, field: &str, kept: Value, broken: Value, at: &str, fault| {
        let at = format!("spec.{field}{at}");
        Rule::new(
            says,
            &spec(&json!({field: kept})),
            &spec(&json!({field: broken})),
            &at,
            fault,
        )
    };
    let names = |says, field, kept: &str, broken: &str, fault| {
        rule(
            says,
            field,
            json!(["a", kept]),
            json!(["a", broken]),
            "[1]",
            fault,
        )
    };
    let condition = |key: &str, operator: &str, values: &[&str]| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
    let values = "In and NotIn need values, Exists and DoesNotExist have none";
    let mut rules = vec![
        names(
            "a namespace is named exactly",
            "namespaceName",
            "shop-7",
            "shop-*",
            "this can't be the name of a namespace: write exact names, one to an item; a pattern is for namespaceAffinity",
        ),
        names(
            "a node is named exactly",
            "nodeName",
            "node-1.example.org",
            "node-1,node-2",
            "this can't be the name of a node: write exact names, one to an item; a pattern is for nodeAffinity",
        ),
        names(
            "an attachment is namespace/name or name",
            "multusName",
            "kube-system/macvlan.100",
            "kube-system/macvlan/100",
            "this can't be a network attachment: write namespace/name, for example kube-system/macvlan-100, or the name alone",
        ),
        rule(
            "an address rests for a day at most",
            "cooldownSeconds",
            json!(86_400),
            json!(86_401),
            "",
            "should be less than or equal to 86400",
        ),
        rule(
            "an address need not rest",
            "cooldownSeconds",
            json!(0),
            json!(-1),
            "",
            "should be greater than or equal to 0",
        ),
    ];
    for field in ["podAffinity", "namespaceAffinity", "nodeAffinity"] {
        rules.extend([
            rule(
                "In needs values",
                field,
                condition("a", "In", &["b"]),
                condition("a", "In", &[]),
                ".matchExpressions[0]",
                values,
            ),
            rule(
                "Exists has no values",
                field,
                condition("a", "Exists", &[]),
                condition("a", "Exists", &["b"]),
                ".matchExpressions[0]",
                values,
            ),
            rule(
                "there are four operators",
                field,
                condition("a", "NotIn", &["b"]),
                condition("a", "Gt", &["b"]),
                ".matchExpressions[0].operator",
                r#"Unsupported value: "Gt": supported values: "In", "NotIn", "Exists", "DoesNotExist""#,
            ),
        ]);
    }
    Judge::<IPPool>::new().await?.holds(rules).await
}

/// The server adds up what the rules cost at run time too.
#[tokio::test]
async fn a_pool_may_be_as_large_as_is_declared() -> Result<()> {
    let subnet = "fd00:6666:6666:6666::/64";
    let address = |group: u16, i: u16| format!("fd00:6666:6666:6666:6666:6666:{group:x}:{i:x}");
    let ranges: Vec<String> = (0x1000..0x1400)
        .map(|i| format!("{}-{}", address(0x6666, i), address(0x7777, i)))
        .collect();
    let routes: Vec<Value> = (0x1000..0x1100)
        .map(|i| json!({"dst": format!("fd00:7777:7777:7777:7777:7777:7777:{i:x}/128"), "gw": address(0x8888, i)}))
        .collect();
    let label = |i: usize| format!("{i:n>63}");
    let subdomain = |i: usize| format!("{0}.{0}.{0}.{1}", label(i), "n".repeat(61));
    let thousand = |item: &dyn Fn(usize) -> String| (0..1024).map(item).collect::<Vec<_>>();
    let full = json!({
        "subnet": subnet,
        "ips": ranges,
        "excludeIPs": ranges,
        "gateway": address(0x9999, 0x9999),
        "routes": routes,
        "vrf": "v".repeat(63),
        "namespaceName": thousand(&label),
        "nodeName": thousand(&subdomain),
        "multusName": thousand(&|i| format!("{}/{}", label(i), subdomain(i))),
        "nodeAffinity": {"matchExpressions": [
            {"key": "zone", "operator": "In", "values": thousand(&label)},
        ]},
    });
    let one_wrong = |list: &str| {
        let mut spec = full.clone();
        spec[list][1023] = json!("fd00::1-fd00::2");
        spec
    };
    let rules = ["ips", "excludeIPs"].map(|list| {
        Rule::new(
            "1024 ranges of 79 characters, 256 routes and 1024 names of each sort",
            &full,
            &one_wrong(list),
            &format!("spec.{list}"),
            "fd00::1-fd00::2 is not inside the subnet fd00:6666:6666:6666::/64",
        )
    });
    Judge::<IPPool>::new().await?.holds(rules.into()).await
}

#[tokio::test]
async fn a_pool_of_ipv4_may_be_as_large_as_is_declared() -> Result<()> {
    let ranges: Vec<String> = (0..1024)
        .map(|i| {
            let (a, b) = (100 + i / 100, 100 + i % 100);
            format!("100.{a}.{b}.100-100.{a}.{b}.200")
        })
        .collect();
    let full = json!({"subnet": "100.0.0.0/8", "ips": ranges, "excludeIPs": ranges});
    let mut reversed = full.clone();
    reversed["excludeIPs"][1023] = json!("100.200.200.200-100.200.200.100");
    let rule = Rule::new(
        "1024 IPv4 ranges",
        &full,
        &reversed,
        "spec.excludeIPs[1023]",
        "this range ends before it begins: write 100.200.200.100-100.200.200.200",
    );
    Judge::<IPPool>::new().await?.holds(vec![rule]).await
}
