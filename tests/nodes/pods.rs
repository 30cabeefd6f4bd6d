//! Pods that come and go.

use anyhow::Result;
use kube::api::DeleteParams;

use crate::env::{TestEnv, pod_spec};

#[tokio::test]
async fn a_pod_has_the_address_of_its_lease_until_it_is_deleted() -> Result<()> {
    let env = TestEnv::with_pool(4).await?;
    env.pod("web", &pod_spec()).await?;
    env.settle(1).await?;
    env.delete_pod("web", &DeleteParams::default()).await?;
    env.settle(0).await?;
    Ok(())
}
