//! Cases that wait most of their time, at once.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use futures_util::future::{LocalBoxFuture, join_all};

/// Runs all of them to their end; the error names those that failed.
pub async fn at_once<const N: usize>(
    cases: [(&str, LocalBoxFuture<'_, Result<()>>); N],
) -> Result<()> {
    let outcomes = cases.map(async |(name, case)| {
        let begun = Instant::now();
        let outcome = case.await.context(name.to_owned());
        eprintln!("{:5.1} s  {name}", begun.elapsed().as_secs_f64());
        outcome
    });
    let failed: Vec<String> = join_all(outcomes)
        .await
        .into_iter()
        .filter_map(|outcome| outcome.err().map(|error| format!("{error:#}")))
        .collect();
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}
