//! ADD in nearly full pools of every sort: `cargo bench --bench add -- variants [ADDRESSES]`, by
//! default 16383.
//!
//! Each is filled to 99 %, and counted by the collector: a plain pool; one of each family; one
//! inside another, whose leases fill it; one of a vrf; one over half of which ReservedIPs lie. Last
//! one all of whose addresses were released a moment ago.

use std::net::{IpAddr, Ipv6Addr};

use anyhow::Result;
use serde_json::{Value, json};
use testbed::Leased;

use super::environment::Bench;
use super::full::{Counted, address, range, scattered, subnet};
use super::table::Row;

/// So many ranges are reserved: as many addresses as the pool has left.
const RESERVED: usize = 64;

/// A pool, its leases, and the count of it.
struct Variant<'a> {
    pool: &'a str,
    spec: Value,
    leased: Leased<'a>,
    taken: Vec<IpAddr>,
    free: Vec<IpAddr>,
    overlaps: bool,
}

impl<'a> Variant<'a> {
    /// A plain pool of these addresses, 99 % of which are held.
    fn plain(pool: &'a str, subnet: &str, ips: &Value, addresses: Vec<IpAddr>) -> Self {
        let (count, mut addresses) = (addresses.len(), addresses);
        addresses = (0..count)
            .map(|number| addresses[scattered(number, count)])
            .collect();
        let free = addresses.split_off(count * 99 / 100);
        Self {
            pool,
            spec: json!({"subnet": subnet, "ips": ips, "cooldownSeconds": 0}),
            leased: Leased {
                pool,
                vrf: None,
                released: None,
            },
            taken: addresses,
            free,
            overlaps: false,
        }
    }

    fn v4(pool: &'a str, index: usize, size: usize) -> Self {
        let ips = json!([range(index, 0, size)]);
        let addresses = (0..size).map(|number| address(index, number).into());
        Self::plain(pool, &subnet(index), &ips, addresses.collect())
    }
}

impl Bench {
    /// The table of pools of so many addresses.
    pub async fn variants(&self, size: usize) -> Result<()> {
        self.begin_table().await?;
        let v4_of = |pool: &str| vec![("ipv4Pools", json!([pool]))];

        self.nearly_full(Variant::v4("plain", 0, size)).await?;
        let asks = v4_of("plain");
        self.variant_row("plain", asks.clone(), size).await?;

        let bits = |number: usize| 0xfd00 << 112 | u128::try_from(number + 1).unwrap_or_default();
        let v6 = (0..size).map(|number| Ipv6Addr::from_bits(bits(number)));
        let v6: Vec<IpAddr> = v6.map(IpAddr::from).collect();
        let ips = json!([format!("{}-{}", v6[0], v6[size - 1])]);
        self.nearly_full(Variant::plain("v6", "fd00::/64", &ips, v6))
            .await?;
        let both = [asks, vec![("ipv6Pools", json!(["v6"]))]].concat();
        self.variant_row("two families", both, size).await?;

        let outer = json!({"subnet": subnet(1), "ips": [range(1, 0, 2 * size)]});
        self.apply_pool("outer", &outer).await?;
        let mut inner = Variant::v4("inner", 1, size);
        inner.leased.pool = "outer";
        inner.overlaps = true;
        self.nearly_full(inner).await?;
        self.variant_row("inside another pool", v4_of("inner"), size)
            .await?;

        let mut blue = Variant::v4("blue", 2, size);
        blue.leased.vrf = Some("blue");
        blue.spec["vrf"] = json!("blue");
        self.nearly_full(blue).await?;
        let in_vrf = [v4_of("blue"), vec![("vrf", json!("blue"))]].concat();
        self.variant_row("vrf", in_vrf, size).await?;

        self.half_reserved(size).await?;
        self.variant_row("half of it reserved", v4_of("half"), size)
            .await?;

        let now = jiff::Timestamp::now().to_string();
        let mut cooling = Variant::v4("cooling", 4, size);
        cooling.leased.released = Some(&now);
        cooling.spec["cooldownSeconds"] = json!(30);
        cooling.taken.append(&mut cooling.free);
        self.nearly_full(cooling).await?;
        self.variant_row("all of it cooling", v4_of("cooling"), size)
            .await
    }

    /// A pool of twice as many addresses, every other range of which is reserved.
    async fn half_reserved(&self, size: usize) -> Result<()> {
        let part = size.div_ceil(RESERVED);
        let ranges = (0..RESERVED).map(|number| range(3, 2 * number * part, part));
        let reserved = json!({"apiVersion": "leasehold.io/v1alpha1", "kind": "ReservedIP", "metadata": {"name": "half"},
            "spec": {"ips": ranges.collect::<Vec<_>>()}});
        self.cluster.apply_yaml(&reserved.to_string()).await?;
        let all = 0..2 * RESERVED * part;
        let usable = all
            .clone()
            .filter(|number| number / part % 2 == 1)
            .map(|number| address(3, number).into());
        let ips = json!([range(3, 0, all.end)]);
        self.nearly_full(Variant::plain("half", &subnet(3), &ips, usable.collect()))
            .await
    }

    async fn nearly_full(&self, variant: Variant<'_>) -> Result<()> {
        let Variant {
            pool,
            spec,
            leased,
            taken,
            free,
            overlaps,
        } = variant;
        self.apply_pool(pool, &spec).await?;
        let count = taken.len();
        self.cluster.lease(leased, taken.into_iter()).await?;
        let (held, cooling) = match leased.released {
            Some(_) => (0, count),
            None => (count, 0),
        };
        let counted = Counted {
            held,
            cooling,
            free,
            overlaps,
        };
        self.write_status(pool, counted).await
    }

    async fn variant_row(
        &self,
        name: &str,
        ipam: Vec<(&'static str, Value)>,
        size: usize,
    ) -> Result<()> {
        let row = Row {
            name: name.to_owned(),
            free: size / 100,
            counted: ipam
                .iter()
                .filter_map(|(_, pools)| Some(pools.get(0)?.as_str()?.to_owned()))
                .collect(),
            ipam,
        };
        self.measure_row(&row).await
    }
}
