//! The list of a pool's leases in the forms that the API server has: why the plugin asks for a
//! table.

use std::net::Ipv4Addr;
use std::time::Instant;

use anyhow::Result;

use super::environment::{Bench, POOL};
use super::figures::{head, mega, milli, percentile, row};

const LEASES: &str = "/apis/leasehold.io/v1alpha1/ipleases";

/// Each form, what it is to accept, and more of the query.
const FORMS: [[&str; 3]; 3] = [
    [
        "table without objects",
        "application/json;as=Table;g=meta.k8s.io;v=v1",
        "&includeObject=None",
    ],
    [
        "metadata",
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        "",
    ],
    ["objects", "application/json", ""],
];

impl Bench {
    /// Prints what a list of so many leases takes.
    pub async fn compare_lists(&self, leases: usize) -> Result<()> {
        let upper = u32::from(Ipv4Addr::new(10, 82, 0, 0))..;
        let upper = upper.map(|bits| Ipv4Addr::from(bits).into());
        self.cluster.hold(POOL, upper.take(leases)).await?;
        let admin = self.cluster.admin().await?;
        println!("lists of {leases} leases\n");
        head(["p50", "size"]);
        for [form, accept, more] in FORMS {
            let mut times = Vec::new();
            let mut bytes = 0;
            for _ in 0..7 {
                let uri =
                    format!("{LEASES}?resourceVersion=0&fieldSelector=spec.pool%3D{POOL}{more}");
                let request = http::Request::get(uri)
                    .header("Accept", accept)
                    .body(Vec::new())?;
                let begun = Instant::now();
                bytes = admin.request_text(request).await?.len();
                times.push(begun.elapsed());
            }
            times.sort_unstable();
            let size = format!("{:.2} MB", mega(bytes as u64));
            row(form, [milli(percentile(&times, 50)), size]);
        }
        Ok(())
    }
}
