use serde_json::json;

use super::*;

mod support;

use support::{Scene, scene};

/// A default pool of each family, and two of each that only serve who names them.
fn town() -> Scene {
    let none = || json!({});
    scene()
        .v4("d4", json!({"default": true}))
        .v6("d6", json!({"default": true}))
        .v4("a4", none())
        .v4("b4", none())
        .v6("a6", none())
        .v6("b6", none())
}

#[test]
fn the_first_level_that_names_a_pool_decides_for_each_family_by_itself() {
    let mut scene = town();
    let mut told = vec![scene.told()];
    scene = scene.config(Family::V4, &["a4"]);
    told.push(scene.told());
    scene = scene.namespace("default-ipv6-ippool", r#"["a6"]"#);
    told.push(scene.told());
    scene = scene.namespace("default-ipv4-ippool", r#"["b4"]"#);
    told.push(scene.told());
    scene = scene.pod("ippool", r#"{"ipv4":["a4","b4"]}"#);
    told.push(scene.told());
    scene = scene.pod(
        "ippools",
        r#"[{"interface":"eth0","ipv4":["b4","a4"],"ipv6":["b6","a6"]}]"#,
    );
    told.push(scene.told());
    insta::assert_snapshot!(told.join("\n"), @r#"
        IPv4 Default: d4; IPv6 Default: d6
        IPv4 Config: a4; IPv6 Default: d6
        IPv4 Config: a4; IPv6 Namespace: a6
        IPv4 Namespace: b4; IPv6 Namespace: a6
        IPv4 Pod: a4 b4; IPv6 Namespace: a6
        IPv4 Interface: b4 a4; IPv6 Interface: b6 a6
        "#);
}
