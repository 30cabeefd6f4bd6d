//! A pod's sandbox as a runtime makes it: a network namespace and a container id.

use anyhow::Result;

use crate::guardian;
use crate::netns::Netns;

/// A sandbox; its namespace goes with this value.
#[derive(Debug)]
pub struct Sandbox {
    netns: Netns,
    container: String,
}

impl Sandbox {
    /// Makes one with nothing in it.
    pub fn new() -> Result<Self> {
        Ok(Self {
            netns: Netns::new("pod")?,
            container: container_id()?,
        })
    }

    /// Its network namespace.
    #[must_use]
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Its container id: 64 hexadecimal digits.
    #[must_use]
    pub fn container(&self) -> &str {
        &self.container
    }

    /// Removes its namespace, as a runtime does. What plugins hold for it, they hold on.
    pub fn remove(&self) {
        self.netns.remove();
    }
}

/// A container id that no other container has: 64 hexadecimal digits. It begins with the run's id,
/// by which the guardian knows whose a plugin's notes are.
pub fn container_id() -> Result<String> {
    let run = guardian::run()?.id();
    let [a, b, c] = rand::random::<[u64; 3]>();
    let random = format!("{a:016x}{b:016x}{c:016x}");
    let rest: String = format!("{random}{random}")
        .chars()
        .take(64 - run.len())
        .collect();
    Ok(format!("{run}{rest}"))
}
