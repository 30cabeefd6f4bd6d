//! Container images of static programs: an OCI archive, written without a base image or a build
//! service.
//!
//! The same files give the same bytes: entries are in the order of their names, owned by root and
//! dated 1970, and nothing says when or where the image was built. An image here is one layer per
//! platform, under one image index. `ctr images import` and `podman load` read the archive,
//! `skopeo copy` pushes it.
//!
//! Source: OCI image format specification 1.1 (image layout, image index, manifest, configuration).

mod digest;
mod layer;
mod layout;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// A file of an image.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it is in the image, without the leading slash.
    pub path: String,
    /// Its content.
    pub content: Vec<u8>,
    /// Whether it is a program.
    pub executable: bool,
}

/// What is in an image for one platform.
#[derive(Clone, Debug)]
pub struct Platform {
    /// The architecture as Go names it: `amd64`, `arm64`.
    pub architecture: String,
    /// Its files.
    pub files: Vec<Entry>,
}

/// An image, for one platform or several.
#[derive(Clone, Debug)]
pub struct Image {
    /// Name and tag, such as `registry.example/leasehold:0.1.0`.
    pub name: String,
    /// The program that runs, and its arguments.
    pub entrypoint: Vec<String>,
    /// Who runs it: `uid:gid`; empty for root.
    pub user: String,
    /// Labels of every platform.
    pub labels: BTreeMap<String, String>,
    /// What it holds, a platform each.
    pub platforms: Vec<Platform>,
    /// Whether layers are compressed: smaller to push, slower to write.
    pub compressed: bool,
}

impl Image {
    /// Writes the archive, and returns the digest by which the image can be pulled once it is
    /// pushed.
    pub fn write(&self, path: &Path) -> Result<String> {
        ensure!(!self.platforms.is_empty(), "an image for no platform");
        let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
        layout::write(self, file).with_context(|| format!("write {}", path.display()))
    }

    /// The name with the parts that are left out of `leasehold:0.1.0`, as container runtimes
    /// complete it.
    #[must_use]
    pub fn full_name(&self) -> String {
        let (first, rest) = self.name.split_once('/').unwrap_or(("", &self.name));
        let is_registry = first.contains(['.', ':']) || first == "localhost";
        let tagged = if rest.contains(':') {
            self.name.clone()
        } else {
            format!("{}:latest", self.name)
        };
        match (first, is_registry) {
            (_, true) => tagged,
            ("", _) => format!("docker.io/library/{tagged}"),
            _ => format!("docker.io/{tagged}"),
        }
    }
}

/// The platform that this program runs on, as Go names it.
#[must_use]
pub fn architecture(rust: &str) -> &str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests;
