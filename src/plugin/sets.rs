//! The sets that the annotations `subnet` and `subnets` ask for: which they are, not what is in
//! them.

use super::error::Error;
use super::pod::BoundPod;
use crate::annotations::{self, Found};
use crate::claim::{DerivedSet, SetOwner, SetSize};
use crate::lease::{ClaimOwner, SetRequest};
use crate::select::{self, Level, Request, Selection};

/// For each family of the selection the sets one of which has its address: of each Subnet that fits
/// the pod the one of its application. None where the selection is of pools.
pub(super) fn derived(
    request: &Request,
    pod: &BoundPod,
    selection: &Selection,
) -> Result<Vec<Vec<SetRequest>>, Error> {
    let each = selection.families.iter().map(|choice| match choice.level {
        Level::InterfaceSubnet | Level::Subnet => {
            let pools = choice.candidates.iter();
            let application = Application::of(pod)?;
            let sets = pools.filter_map(|pool| {
                Some(SetRequest {
                    set: application.set(request, pool.name.subnet()?),
                    pool: pool.clone(),
                })
            });
            Ok(sets.collect())
        }
        Level::Claim
        | Level::Interface
        | Level::Pod
        | Level::Namespace
        | Level::Config
        | Level::Default => Ok(Vec::new()),
    });
    each.collect()
}

/// What a pod says about the sets of its application.
struct Application {
    namespace: String,
    owner: ClaimOwner,
    size: SetSize,
    reclaim: bool,
}

impl Application {
    fn of(pod: &BoundPod) -> Result<Self, Error> {
        let annotations = &pod.facts.annotations;
        let reclaim = annotations::reclaim(annotations).map_err(Error::Malformed)?;
        Ok(Self {
            namespace: pod.facts.namespace.clone(),
            owner: ClaimOwner::application(pod.owner.as_ref(), &pod.facts.labels)?,
            size: select::set_size(annotations).map_err(Error::Malformed)?,
            reclaim: reclaim.is_none_or(|Found { value, .. }| value),
        })
    }

    /// Its set of the addresses of a Subnet.
    fn set(&self, request: &Request, subnet: &str) -> DerivedSet {
        let ClaimOwner {
            group, kind, name, ..
        } = self.owner.clone();
        DerivedSet {
            namespace: self.namespace.clone(),
            owner: SetOwner {
                group,
                kind,
                name,
                interface: request.interface.clone(),
                network: request.network.clone(),
                subnet: subnet.to_owned(),
            },
            vrf: request.vrf.clone(),
            size: self.size,
            reclaim: self.reclaim,
        }
    }
}
