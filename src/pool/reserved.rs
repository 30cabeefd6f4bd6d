//! What is in use outside the cluster.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::api::ResourceExt;
use ipnet::IpNet;

use crate::api::ReservedIP;
use crate::ip::{InvalidVrf, Span, SpanError, Spans, Vrf};

/// A ReservedIP of which it is unknown what it reserves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReservedIP {
    /// One of its `ips`.
    #[error("ReservedIP {name}: spec.ips[{index}] {fault}")]
    Span {
        /// The name of the object.
        name: String,
        /// The place in the list.
        index: usize,
        /// What is wrong.
        fault: SpanError,
    },
    /// Its `vrf`, so that it may be about any address space.
    #[error("ReservedIP {name}: spec.vrf {fault}")]
    Vrf {
        /// The name of the object.
        name: String,
        /// What is wrong.
        fault: InvalidVrf,
    },
}

/// The reserved addresses of each vrf.
#[derive(Debug, Clone, Default)]
pub struct Reserved {
    spans: BTreeMap<Vrf, Result<Vec<Span>, InvalidReservedIP>>,
    everywhere: Option<InvalidReservedIP>,
}

impl Reserved {
    /// Reads every ReservedIP.
    #[must_use]
    pub fn read(written: &[ReservedIP]) -> Self {
        let mut reserved = Self::default();
        let mut sets: BTreeMap<Vrf, Result<Vec<Span>, InvalidReservedIP>> = BTreeMap::new();
        for object in written {
            let vrf: Vrf = match object.spec.vrf.parse() {
                Ok(vrf) => vrf,
                Err(fault) => {
                    reserved.everywhere.get_or_insert(InvalidReservedIP::Vrf {
                        name: object.name_any(),
                        fault,
                    });
                    continue;
                }
            };
            let set = sets.entry(vrf).or_insert_with(|| Ok(Vec::new()));
            for (index, text) in object.spec.ips.iter().enumerate() {
                match (text.parse::<Span>(), &mut *set) {
                    (Ok(span), Ok(spans)) => spans.push(span),
                    (Err(fault), Ok(_)) => {
                        *set = Err(InvalidReservedIP::Span {
                            name: object.name_any(),
                            index,
                            fault,
                        });
                    }
                    (_, Err(_)) => {}
                }
            }
        }
        let sorted = |spans: Vec<Span>| {
            spans
                .into_iter()
                .collect::<Spans>()
                .iter()
                .copied()
                .collect()
        };
        reserved.spans = sets
            .into_iter()
            .map(|(vrf, spans)| (vrf, spans.map(sorted)))
            .collect();
        reserved
    }

    /// What is reserved in `vrf`: sorted and disjoint.
    pub fn of(&self, vrf: &Vrf) -> Result<&[Span], InvalidReservedIP> {
        match (&self.everywhere, self.spans.get(vrf)) {
            (Some(unreadable), _) | (None, Some(Err(unreadable))) => Err(unreadable.clone()),
            (None, Some(Ok(spans))) => Ok(spans),
            (None, None) => Ok(&[]),
        }
    }

    /// What could not be read.
    pub fn unreadable(&self) -> impl Iterator<Item = &InvalidReservedIP> {
        let in_vrfs = self.spans.values().filter_map(|spans| spans.as_ref().err());
        self.everywhere.iter().chain(in_vrfs)
    }

    /// What is reserved in `vrf` and may touch `subnet`: pools are many and reservations too, so
    /// each pool searches only at those about it.
    pub(super) fn about(&self, vrf: &Vrf, subnet: IpNet) -> Result<Spans, InvalidReservedIP> {
        let spans = self.of(vrf)?;
        let (first, last): (IpAddr, IpAddr) = (subnet.network(), subnet.broadcast());
        let begin = spans.partition_point(|span| span.last() < first);
        let end = spans.partition_point(|span| span.first() <= last);
        Ok(spans[begin..end].iter().copied().collect())
    }
}
