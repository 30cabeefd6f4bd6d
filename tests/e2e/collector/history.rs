//! A random history, and what must be so after each of its steps.
//!
//! `LEASEHOLD_HISTORY_STEPS` says how long it is, `LEASEHOLD_HISTORY_SEED` which one: the seed is
//! printed, and steps that do not depend on time repeat with it.

mod model;
mod step;

use std::env;

use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use model::Model;
use step::Step;

/// Room for its pods beside what three nodes may have reserved.
const SUBNET: &str = "10.69.0.0/25";

/// What the sets of applications are made of.
const OF_SETS: &str = "10.69.1.0/26";

/// As many as CI has time for: a minute or two on two cores that have nothing else to do.
const STEPS: usize = 1000;

fn from_env<T: std::str::FromStr>(name: &str) -> Option<T> {
    env::var(name).ok()?.parse().ok()
}

#[tokio::test]
async fn whatever_happens_the_living_keep_their_addresses_and_the_dead_give_theirs_back()
-> Result<()> {
    let steps = from_env("LEASEHOLD_HISTORY_STEPS").unwrap_or(STEPS);
    let seed: u64 = from_env("LEASEHOLD_HISTORY_SEED").unwrap_or_else(|| rand::rng().random());
    eprintln!("LEASEHOLD_HISTORY_SEED={seed} LEASEHOLD_HISTORY_STEPS={steps}");
    let env = super::run::env("history", SUBNET).await?;
    // So that leases change their holder, rather than go.
    env.pool_of("history", SUBNET, json!({"cooldownSeconds": 1}))
        .await?;
    env.subnet_of("history", OF_SETS, json!({})).await?;
    let mut model = Model::new(&env).await?;
    let mut random = StdRng::seed_from_u64(seed);
    for number in 1..=steps {
        let step = Step::any(&mut random);
        let outcome = model.take(step, &mut random).await;
        let outcome = match outcome {
            Ok(()) => model.invariants().await,
            failed => failed,
        };
        outcome.with_context(|| {
            format!(
                "step {number} of seed {seed}, {step:?}, after:\n{}",
                model.lately()
            )
        })?;
    }
    model
        .end()
        .await
        .with_context(|| format!("the end of seed {seed}, after:\n{}", model.lately()))
}
