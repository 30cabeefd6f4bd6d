//! What is said badly, refused with the variable or key, what was found there and what was
//! expected.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use serde_json::{Value, json};

use super::{Said, configuration, page, says};

fn ipam(ipam: &str) -> Said {
    let stdin = configuration()
        .to_string()
        .replace(&configuration()["ipam"].to_string(), ipam);
    says("ADD").stdin(stdin)
}

#[test]
fn del_needs_a_container_and_an_interface() {
    insta::assert_snapshot!(page([
        ("neither is there", says("DEL").without("CNI_CONTAINERID").with("CNI_IFNAME", "")),
        ("a container that is none", says("DEL").with("CNI_CONTAINERID", "../4b1d")),
        ("an interface that is none", says("DEL").with("CNI_IFNAME", "net/1")),
    ]), @r#"
    neither is there:
      4 missing in the environment: CNI_CONTAINERID, CNI_IFNAME
    a container that is none:
      4 CNI_CONTAINERID is "../4b1d"; expected at most 253 of a-z, A-Z, 0-9, "_", "." and "-", the first a letter or digit
    an interface that is none:
      4 CNI_IFNAME is "net/1"; expected at most 15 bytes without "/", ":" and white space
    "#);
}

#[test]
fn a_wrong_environment_is_refused_by_name() {
    let args = |args: &str| says("ADD").with("CNI_ARGS", args);
    let not_utf8 = |name| says("ADD").with(name, OsString::from_vec(b"a\xffb".to_vec()));
    insta::assert_snapshot!(page([
        ("an unknown command", says("add")),
        ("a command that is no text", not_utf8("CNI_COMMAND")),
        ("nothing is there", says("ADD").without("CNI_CONTAINERID").without("CNI_NETNS").with("CNI_IFNAME", "")),
        ("a container of strange characters", says("ADD").with("CNI_CONTAINERID", "a\nb")),
        ("a container longer than a lease holds", says("ADD").with("CNI_CONTAINERID", "a".repeat(254))),
        ("an interface longer than the kernel has", says("CHECK").with("CNI_IFNAME", "a".repeat(16))),
        ("a namespace that is no text", not_utf8("CNI_NETNS")),
        ("arguments that are no text", not_utf8("CNI_ARGS")),
        ("no arguments", says("ADD").without("CNI_ARGS")),
        ("no pod", args("IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=")),
        ("a pair without =", args("K8S_POD_NAME")),
        ("a pair with two =", args("K8S_POD_NAME=a=b")),
        ("a ; at the end", args("K8S_POD_NAME=a;K8S_POD_NAMESPACE=b;")),
        ("an unknown key", args("K8S_POD_NAME=a;K8S_POD_NAMESPACE=b;K8s_POD_UID=c")),
        ("an unknown key, and not ignored", args("IgnoreUnknown=0;GATEWAY=10.0.0.1;K8S_POD_NAME=a;K8S_POD_NAMESPACE=b")),
        ("a switch that is none", args("IgnoreUnknown=yes")),
        ("a pod's name that is none", args("K8S_POD_NAME=Web_0;K8S_POD_NAMESPACE=shop")),
        ("a namespace's name that is none", args("K8S_POD_NAME=web;K8S_POD_NAMESPACE=a.b")),
        ("a UID with a line break", args("K8S_POD_NAME=web;K8S_POD_NAMESPACE=shop;K8S_POD_UID=a\nb")),
        ("a very long name", args(&format!("K8S_POD_NAME={};K8S_POD_NAMESPACE=shop", "a".repeat(100_000)))),
        ("an address that is none", args("K8S_POD_NAME=a;K8S_POD_NAMESPACE=b;IP=10.0.0.256")),
        ("two addresses of a family", args("K8S_POD_NAME=a;K8S_POD_NAMESPACE=b;IP=10.0.0.1,10.0.0.2")),
    ]), @r#"
    an unknown command:
      4 CNI_COMMAND is "add"; expected ADD, DEL, CHECK, GC, STATUS or VERSION
    a command that is no text:
      4 CNI_COMMAND is "a�b"; expected UTF-8
    nothing is there:
      4 missing in the environment: CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME
    a container of strange characters:
      4 CNI_CONTAINERID is "a\nb"; expected at most 253 of a-z, A-Z, 0-9, "_", "." and "-", the first a letter or digit
    a container longer than a lease holds:
      4 CNI_CONTAINERID is "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa… (256 bytes); expected at most 253 of a-z, A-Z, 0-9, "_", "." and "-", the first a letter or digit
    an interface longer than the kernel has:
      4 CNI_IFNAME is "aaaaaaaaaaaaaaaa"; expected at most 15 bytes without "/", ":" and white space
    a namespace that is no text:
      4 CNI_NETNS is "a�b"; expected UTF-8
    arguments that are no text:
      4 CNI_ARGS is "a�b"; expected UTF-8
    no arguments:
      4 missing in CNI_ARGS: K8S_POD_NAMESPACE, K8S_POD_NAME
    no pod:
      4 missing in CNI_ARGS: K8S_POD_NAME
    a pair without =:
      4 CNI_ARGS has "K8S_POD_NAME"; expected pairs KEY=VALUE, with one "=" in each and ";" between them
    a pair with two =:
      4 CNI_ARGS has "K8S_POD_NAME=a=b"; expected pairs KEY=VALUE, with one "=" in each and ";" between them
    a ; at the end:
      4 CNI_ARGS has ""; expected pairs KEY=VALUE, with one "=" in each and ";" between them
    an unknown key:
      4 CNI_ARGS has "K8s_POD_UID=c", which is unknown, and IgnoreUnknown is not set to 1
    an unknown key, and not ignored:
      4 CNI_ARGS has "GATEWAY=10.0.0.1", which is unknown, and IgnoreUnknown is not set to 1
    a switch that is none:
      4 IgnoreUnknown in CNI_ARGS is "yes"; expected 1, true, 0 or false
    a pod's name that is none:
      4 K8S_POD_NAME in CNI_ARGS is "Web_0"; expected a pod's name (at most 253 of a-z, 0-9, "-" and ".", first and last a letter or digit)
    a namespace's name that is none:
      4 K8S_POD_NAMESPACE in CNI_ARGS is "a.b"; expected a namespace (at most 63 of a-z, 0-9 and "-", first and last no "-")
    a UID with a line break:
      4 K8S_POD_UID in CNI_ARGS is "a\nb"; expected a UID (at most 128 visible characters of ASCII)
    a very long name:
      4 K8S_POD_NAME in CNI_ARGS is "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa… (100002 bytes); expected a pod's name (at most 253 of a-z, 0-9, "-" and ".", first and last a letter or digit)
    an address that is none:
      4 IP in CNI_ARGS is "10.0.0.256"; expected at most one address of each family, separated by ",", with or without a prefix length
    two addresses of a family:
      4 IP in CNI_ARGS is "10.0.0.1,10.0.0.2"; expected at most one address of each family, separated by ",", with or without a prefix length
    "#);
}

#[test]
fn a_wrong_configuration_is_refused_by_key_and_value() {
    insta::assert_snapshot!(page([
        ("an unknown key", ipam(r#"{"ipv4Pool":["a"]}"#)),
        ("a key with another sign", ipam(r#"{"clean_gateway":true}"#)),
        ("a key of another plugin", ipam(r#"{"routes":[{"dst":"0.0.0.0/0"}]}"#)),
        ("a key with a line break", ipam(r#"{"a\nb":"c\nd"}"#)),
        ("a number for a path", ipam(r#"{"kubeconfig":7}"#)),
        ("a path from nowhere", ipam(r#"{"kubeconfig":"kubeconfig"}"#)),
        ("a path with a NUL", ipam(r#"{"metricsDir":"/a\u0000b"}"#)),
        ("a text for a list", ipam(r#"{"ipv4Pools":"blue"}"#)),
        ("65 pools", ipam(&format!(r#"{{"ipv6Pools":["*"{}]}}"#, r#","*""#.repeat(64)))),
        ("an empty name", ipam(r#"{"ipv4Pools":["blue",""]}"#)),
        ("a text for a switch", ipam(r#"{"cleanGateway":"true"}"#)),
        ("no time", ipam(r#"{"timeoutSeconds":0}"#)),
        ("too much time", ipam(r#"{"timeoutSeconds":601}"#)),
        ("a number beyond numbers", ipam(r#"{"timeoutSeconds":1e999}"#)),
        ("a policy that is none", ipam(r#"{"ipFamilyPolicy":"DualStack"}"#)),
        ("families twice", ipam(r#"{"ipFamilies":["IPv4","IPv4"]}"#)),
        ("a vrf that is none", ipam(r#"{"vrf":"1st"}"#)),
        ("no object", ipam("[]")),
        ("no configuration of ours", says("ADD").unset("ipam")),
        ("no name", says("ADD").unset("name")),
        ("a name that is none", says("ADD").set("/name", json!("a/b"))),
        ("ranges by the runtime", says("ADD").set("/runtimeConfig", json!({"ipRanges": [[{"subnet": "10.0.0.0/8"}]]}))),
        ("an address that is none", says("ADD").set("/runtimeConfig", json!({"ips": ["10.0.0.1/33"]}))),
        ("two addresses of a family", says("ADD").set("/args", json!({"cni": {"ips": ["fd00::1", "fd00::2"]}}))),
        ("an address of two families", says("ADD").set("/runtimeConfig", json!({"ips": ["::ffff:10.0.0.1"]}))),
        ("a check of nothing", says("CHECK").unset("prevResult")),
        ("a check of no address", says("CHECK").set("/prevResult", json!({"ips": []}))),
        ("a check of what is no address", says("CHECK").set("/prevResult", json!({"ips": [{"address": "here"}]}))),
        ("GC without a list", says("GC").unset("cni.dev/valid-attachments")),
        ("GC with null for a list", says("GC").set("/cni.dev~1valid-attachments", Value::Null)),
        ("GC with half an attachment", says("GC").set("/cni.dev~1valid-attachments", json!([{"containerID": "a"}]))),
    ]), @r#"
    an unknown key:
      2 ipam.ipv4Pool is unknown (its value is ["a"]); did you mean ipv4Pools?
    a key with another sign:
      2 ipam.clean_gateway is unknown (its value is true); did you mean cleanGateway?
    a key of another plugin:
      2 ipam.routes is unknown (its value is [{"dst":"0.0.0.0/0"}]); known are type, kubeconfig, ipv4Pools, ipv6Pools, ipFamilyPolicy, ipFamilies, cleanGateway, timeoutSeconds, vrf, metricsDir
    a key with a line break:
      2 ipam.a\nb is unknown (its value is "c\nd"); known are type, kubeconfig, ipv4Pools, ipv6Pools, ipFamilyPolicy, ipFamilies, cleanGateway, timeoutSeconds, vrf, metricsDir
    a number for a path:
      7 ipam.kubeconfig is 7; expected an absolute path
    a path from nowhere:
      7 ipam.kubeconfig is "kubeconfig"; expected an absolute path
    a path with a NUL:
      7 ipam.metricsDir is "/a\u0000b"; expected an absolute path
    a text for a list:
      7 ipam.ipv4Pools is "blue"; expected a list of at most 64 pools, by name or pattern (without the key: the default pools)
    65 pools:
      7 ipam.ipv6Pools is ["*","*","*","*","*","*","*","*","*","*","*","*","*","*","*","*","*","*","*","*","*","*","*","*","*","*","*","*","*","*"… (261 bytes); expected a list of at most 64 pools, by name or pattern (without the key: the default pools)
    an empty name:
      7 ipam.ipv4Pools is ["blue",""]; expected a list of at most 64 pools, by name or pattern (without the key: the default pools)
    a text for a switch:
      7 ipam.cleanGateway is "true"; expected true or false
    no time:
      7 ipam.timeoutSeconds is 0; expected a whole number from 1 to 600
    too much time:
      7 ipam.timeoutSeconds is 601; expected a whole number from 1 to 600
    a number beyond numbers:
      7 ipam.timeoutSeconds is 1e999; expected a whole number from 1 to 600
    a policy that is none:
      7 ipam.ipFamilyPolicy is "DualStack"; expected SingleStack, PreferDualStack or RequireDualStack
    families twice:
      7 ipam.ipFamilies is ["IPv4","IPv4"]; expected a list of IPv4, IPv6 or both, the preferred one first
    a vrf that is none:
      7 ipam.vrf is "1st"; expected "" or a DNS label that begins with a letter
    no object:
      7 ipam is []; expected an object
    no configuration of ours:
      7 ipam is missing; expected leasehold's configuration
    no name:
      7 name is missing; expected a network's name: at most 253 of a-z, A-Z, 0-9, "_", "." and "-", the first a letter or digit
    a name that is none:
      7 name is "a/b"; expected a network's name: at most 253 of a-z, A-Z, 0-9, "_", "." and "-", the first a letter or digit
    ranges by the runtime:
      2 runtimeConfig.ipRanges is [[{"subnet":"10.0.0.0/8"}]], which is not supported: addresses come from pools
    an address that is none:
      7 runtimeConfig.ips is ["10.0.0.1/33"]; expected a list of at most one address of each family, with or without a prefix length
    two addresses of a family:
      7 args.cni.ips is ["fd00::1","fd00::2"]; expected a list of at most one address of each family, with or without a prefix length
    an address of two families:
      7 runtimeConfig.ips is ["::ffff:10.0.0.1"]; expected a list of at most one address of each family, with or without a prefix length
    a check of nothing:
      7 prevResult is missing; expected the result of the ADD that is to be checked
    a check of no address:
      7 prevResult is {"ips":[]}; expected a result with an address of this interface
    a check of what is no address:
      7 prevResult is {"ips":[{"address":"here"}]}; expected a result with addresses in CIDR notation
    GC without a list:
      7 cni.dev/valid-attachments is missing; expected a list, [] if nothing is attached (a list that is absent is not taken for an empty one)
    GC with null for a list:
      7 cni.dev/valid-attachments is missing; expected a list, [] if nothing is attached (a list that is absent is not taken for an empty one)
    GC with half an attachment:
      7 cni.dev/valid-attachments is [{"containerID":"a"}]; expected a list of objects with containerID and ifname
    "#);
}

#[test]
fn a_version_is_refused_unless_it_is_one_that_has_the_command() {
    let in_version = |command: &str, version: Value| says(command).set("/cniVersion", version);
    insta::assert_snapshot!(page([
        ("one before ours", in_version("ADD", json!("0.0.9"))),
        ("a blank one", in_version("ADD", json!(" "))),
        ("one with a v", in_version("ADD", json!("v1.0.0"))),
        ("one after ours", in_version("ADD", json!("1.2.0"))),
        ("half of one", in_version("ADD", json!("1.0"))),
        ("a number", in_version("ADD", json!(1.1))),
        ("CHECK before 0.4.0", in_version("CHECK", json!("0.3.1"))),
        ("GC before 1.1.0", in_version("GC", json!("1.0.0"))),
        ("STATUS before 1.1.0", in_version("STATUS", json!("1.0.0"))),
    ]), @r#"
    one before ours:
      1 cniVersion is "0.0.9"; supported are 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0
    a blank one:
      1 cniVersion is " "; supported are 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0
    one with a v:
      1 cniVersion is "v1.0.0"; supported are 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0
    one after ours:
      1 cniVersion is "1.2.0"; supported are 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0
    half of one:
      1 cniVersion is "1.0"; supported are 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0
    a number:
      7 cniVersion is 1.1; expected a version in quotes
    CHECK before 0.4.0:
      1 cniVersion is 0.3.1, which has no CHECK
    GC before 1.1.0:
      1 cniVersion is 1.0.0, which has no GC
    STATUS before 1.1.0:
      1 cniVersion is 1.0.0, which has no STATUS
    "#);
}
