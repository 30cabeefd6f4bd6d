//! JSON as Go's `encoding/json` reads it, where serde differs: the names of keys.
//!
//! libcni, the interface plugins and Spiderpool are written in Go. What they read without complaint
//! has worked for its author, so it is read here too: a key in any case, and of a key that is
//! given twice the last. What a value may be is for the readers of [`cni`](crate::cni) and
//! [`annotations`](crate::annotations).

/// `key` in the form in which Go compares it: two keys are the same if their folded forms are.
///
/// Besides the cases of ASCII there are two letters that Unicode folds to one of ASCII, and Go
/// knows them: the long s and the Kelvin sign.
#[must_use]
pub fn fold(key: &str) -> String {
    key.chars()
        .map(|c| match c {
            'ſ' => 'S',
            '\u{212a}' => 'K',
            c => c.to_ascii_uppercase(),
        })
        .collect()
}

/// What the author of `written` may have meant: the nearest of `known`, or all of them.
#[must_use]
pub fn hint(written: &str, known: &[&str]) -> String {
    /// Below that, two words are no more alike than any two are.
    const ALIKE: f64 = 0.75;
    /// Only a word of this length is compared, so that a long one costs nothing.
    const LONGEST: usize = 100;
    let folded = fold(written);
    let nearest = known
        .iter()
        .filter(|_| written.len() <= LONGEST)
        .map(|known| (strsim::jaro_winkler(&folded, &fold(known)), known))
        .rev()
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .filter(|(alike, _)| *alike >= ALIKE);
    match nearest {
        Some((_, nearest)) => format!("did you mean {nearest}?"),
        None => format!("known are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_same_where_go_takes_them_for_the_same() {
        for (a, b, same) in [
            ("cleanGateway", "cleangateway", true),
            ("ipv4Pools", "IPV4POOLS", true),
            ("ipv4Pools", "ipv4Poolſ", true),
            ("kubeconfig", "\u{212a}ubeconfig", true),
            ("ipv4Pools", "ipv4-pools", false),
            ("ipv4Pools", "ipv4_pools", false),
            ("ipv4Pools", "ipv4Pools ", false),
            ("vrf", "vrƒ", false),
            ("ipam", "ıpam", false),
        ] {
            assert_eq!(fold(a) == fold(b), same, "{a} {b}");
        }
    }

    #[test]
    fn a_hint_is_the_nearest_key_or_all_of_them() {
        let known = ["ipv4Pools", "ipv6Pools", "vrf"];
        assert_eq!(hint("ipv4pool", &known), "did you mean ipv4Pools?");
        assert_eq!(hint("ipv5Pools", &known), "did you mean ipv4Pools?");
        assert_eq!(
            hint("routes", &known),
            "known are ipv4Pools, ipv6Pools, vrf"
        );
        assert_eq!(hint(&"v".repeat(1_000), &known), hint("routes", &known));
    }
}
