//! How large a pod asks the set of its application to be.

use crate::annotations::{Annotations, IpNumber, Malformed, ip_number};
use crate::claim::SetSize;

/// The meaning of the pod's annotation `ippool-ip-number`, and of its absence.
pub fn set_size(annotations: &Annotations) -> Result<SetSize, Malformed> {
    let number = ip_number(annotations)?;
    Ok(match number.map(|found| found.value) {
        Some(IpNumber::Fixed(count)) => SetSize::Fixed(count),
        Some(IpNumber::More(spare)) => SetSize::Spare(spare),
        None => SetSize::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::MAX_CLAIM_SIZE;

    #[test]
    fn what_a_pod_may_ask_for_is_what_a_claim_can_have() {
        let asked = |number: u32| {
            let key = "ipam.leasehold.io/ippool-ip-number".to_owned();
            set_size(&Annotations::from([(key, number.to_string())]))
        };
        let most = SetSize::Fixed(MAX_CLAIM_SIZE);
        assert_eq!(asked(MAX_CLAIM_SIZE).ok(), Some(most));
        assert_eq!(most.of(0), MAX_CLAIM_SIZE);
        assert!(asked(MAX_CLAIM_SIZE + 1).is_err());
    }
}
