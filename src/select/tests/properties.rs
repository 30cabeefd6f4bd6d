//! What holds for every set of pools and every list, against an oracle that judges one pool at a
//! time.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::*;
use super::support::{Setup, names, setup};

const NAMES: [&str; 6] = ["a", "b", "c", "aa", "ab", "ba"];

/// Conditions of a pool, each with whether the pod of the setup is served.
const SAYINGS: [(&str, bool); 12] = [
    ("{}", true),
    (r#"{"disable":true}"#, false),
    (r#"{"podAffinity":{"matchLabels":{"app":"a"}}}"#, true),
    (r#"{"podAffinity":{"matchLabels":{"app":"b"}}}"#, false),
    (
        r#"{"nodeName":["n1"],"nodeAffinity":{"matchLabels":{"zone":"b"}}}"#,
        true,
    ),
    (
        r#"{"nodeName":["n2"],"nodeAffinity":{"matchLabels":{"zone":"a"}}}"#,
        false,
    ),
    (r#"{"nodeAffinity":{"matchLabels":{"zone":"b"}}}"#, false),
    (r#"{"namespaceName":["default"]}"#, true),
    (
        r#"{"namespaceAffinity":{"matchLabels":{"team":"b"}}}"#,
        false,
    ),
    (r#"{"multusName":["blue"]}"#, false),
    (r#"{"vrf":"blue"}"#, false),
    (r#"{"ips":["192.0.2.1"]}"#, false),
];

#[derive(Debug, Clone)]
struct Made {
    name: &'static str,
    v6: bool,
    default: bool,
    condition: (&'static str, bool),
}

fn pools() -> impl Strategy<Value = Vec<Made>> {
    let one = (
        any::<bool>(),
        any::<bool>(),
        prop::sample::select(&SAYINGS[..]),
    );
    prop::collection::vec((any::<bool>(), one), NAMES.len()).prop_map(|made| {
        made.into_iter()
            .zip(NAMES)
            .filter(|((there, _), _)| *there)
            .map(|((_, (v6, default, condition)), name)| Made {
                name,
                v6,
                default,
                condition,
            })
            .collect()
    })
}

fn list() -> impl Strategy<Value = Vec<&'static str>> {
    let items = [
        "a", "b", "c", "aa", "ab", "ba", "gone", "*", "a*", "?", "[bc]", "z?",
    ];
    prop::collection::vec(prop::sample::select(items.to_vec()), 0..6)
}

fn build(made: &[Made]) -> Setup {
    made.iter().fold(setup(), |setup, pool| {
        let mut more: Value = serde_json::from_str(pool.condition.0).expect("JSON");
        more["default"] = pool.default.into();
        if pool.v6 {
            setup.v6(pool.name, more)
        } else {
            setup.v4(pool.name, more)
        }
    })
}

/// The candidates of each family; none where the pod is refused.
fn chosen(setup: &Setup) -> Option<[Vec<String>; 2]> {
    let selection = setup.select().and_then(|s| s.settle(|_| false)).ok()?;
    Some(Family::BOTH.map(|family| {
        let choice = selection.families.iter().find(|c| c.family == family);
        let names = choice.map(|c| names(&c.candidates)).unwrap_or_default();
        names.into_iter().map(str::to_owned).collect()
    }))
}

fn fits(pool: &Made, family: Family) -> bool {
    pool.condition.1 && pool.v6 == (family == Family::V6)
}

proptest! {
    #[test]
    fn no_candidate_is_rejected_by_a_rule_and_no_pool_that_fits_is_left_out(made in pools(), list in list()) {
        let v4 = json!({"ipv4": list}).to_string();
        let setup = build(&made).pod("ippool", &v4).single(Family::V4);
        let chosen = chosen(&setup).map(|[v4, _]| v4).unwrap_or_default();
        let named = |pool: &Made| {
            let matches = |item: &&str| glob::Pattern::new(item).expect("a pattern").matches(pool.name);
            if list.is_empty() { pool.default } else { list.iter().any(matches) }
        };
        let mut naive: Vec<&str> = made.iter().filter(|p| named(p) && fits(p, Family::V4)).map(|p| p.name).collect();
        naive.sort_unstable();
        let mut sorted: Vec<&str> = chosen.iter().map(String::as_str).collect();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, naive, "none comes twice either");
    }

    #[test]
    fn the_order_of_an_explicit_list_is_kept(made in pools(), list in Just(NAMES.to_vec()).prop_shuffle()) {
        let setup = build(&made).pod("ippool", &json!({"ipv4": list}).to_string()).single(Family::V4);
        let expected: Vec<String> = list
            .iter()
            .filter(|name| made.iter().any(|p| p.name == **name && fits(p, Family::V4)))
            .map(|name| (*name).to_owned())
            .collect();
        prop_assert_eq!(chosen(&setup).map(|[v4, _]| v4).unwrap_or_default(), expected);
    }

    #[test]
    fn who_names_no_pool_is_not_affected_by_pools_that_are_not_default(made in pools()) {
        let only_default: Vec<Made> = made.iter().filter(|p| p.default).cloned().collect();
        prop_assert_eq!(chosen(&build(&made)), chosen(&build(&only_default)));
    }

    #[test]
    fn a_list_for_one_family_changes_nothing_for_the_other(made in pools(), list in list()) {
        let plain = build(&made);
        let with_list = plain.clone().pod("ippool", &json!({"ipv4": list}).to_string());
        if let (Some([_, before]), Some([_, after])) = (chosen(&plain), chosen(&with_list)) {
            prop_assert_eq!(before, after);
        }
    }

    #[test]
    fn every_candidate_is_in_the_trace_and_every_other_pool_there_has_a_reason(made in pools(), list in list()) {
        let setup = build(&made).pod("ippool", &json!({"ipv4": list, "ipv6": list}).to_string());
        let (trace, candidates) = match setup.select() {
            Ok(s) => {
                let all: Vec<String> = s.families.iter().flat_map(|c| names(&c.candidates)).map(str::to_owned).collect();
                (s.trace, all)
            }
            Err(Error::NoPool { trace, .. }) => (*trace, Vec::new()),
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        let considered = || trace.families.iter().flat_map(|f| &f.considered);
        let fitting: Vec<&str> = considered()
            .filter(|c| matches!(c, Considered::Fits(_)))
            .map(Considered::name)
            .collect();
        prop_assert!(candidates.iter().all(|name| fitting.contains(&name.as_str())));
        for one in considered() {
            if let Considered::Rejected(name, reasons) = one {
                prop_assert!(!reasons.is_empty(), "{name}");
                prop_assert!(!one.to_string().ends_with(": "), "{name}");
            }
        }
        prop_assert!(trace.summary(460).len() <= 460);
    }
}
