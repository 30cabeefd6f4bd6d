//! The archive: blobs by their digests, and the index that names them.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tar::{Builder, EntryType};

use crate::digest::digest;
use crate::layer::{append, layer};
use crate::{Image, Platform};

/// The blobs of an archive by their digests.
#[derive(Default)]
struct Blobs(BTreeMap<String, Vec<u8>>);

impl Blobs {
    /// Adds a blob, and returns how others refer to it.
    fn add(&mut self, media_type: &str, blob: Vec<u8>) -> Value {
        let digest = digest(&blob);
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": blob.len()});
        self.0.insert(digest, blob);
        descriptor
    }
}

/// Writes the archive, and returns the digest of the image.
pub(crate) fn write(image: &Image, to: impl Write) -> Result<String> {
    let mut blobs = Blobs::default();
    let manifests = image
        .platforms
        .iter()
        .map(|platform| manifest(image, platform, &mut blobs))
        .collect::<Result<Vec<_>>>()?;
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": manifests,
    });
    let mut named = blobs.add(
        "application/vnd.oci.image.index.v1+json",
        serde_json::to_vec(&index)?,
    );
    let digest = named["digest"].as_str().unwrap_or_default().to_owned();
    let full_name = image.full_name();
    let tag = full_name.rsplit(':').next().unwrap_or_default();
    named["annotations"] = json!({
        // containerd's name of the image, and everyone else's of its tag.
        "io.containerd.image.name": full_name,
        "org.opencontainers.image.ref.name": tag,
    });
    let top = json!({"schemaVersion": 2, "manifests": [named]});

    let mut tar = Builder::new(to);
    let mut add =
        |path: &str, content: &[u8]| append(&mut tar, path, EntryType::Regular, 0o644, content);
    add("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    add("index.json", &serde_json::to_vec(&top)?)?;
    for (digest, blob) in &blobs.0 {
        add(&format!("blobs/{}", digest.replace(':', "/")), blob)?;
    }
    tar.into_inner().context("end the archive")?.flush()?;
    Ok(digest)
}

/// The manifest of one platform, with its configuration and its layer.
fn manifest(image: &Image, platform: &Platform, blobs: &mut Blobs) -> Result<Value> {
    let layer = layer(&platform.files, image.compressed)?;
    let config = json!({
        "architecture": platform.architecture,
        "os": "linux",
        "config": {
            "Entrypoint": image.entrypoint,
            "User": image.user,
            "Labels": image.labels,
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
    });
    let config = blobs.add(
        "application/vnd.oci.image.config.v1+json",
        serde_json::to_vec(&config)?,
    );
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": [blobs.add(layer.media_type, layer.blob)],
        // Registries show these; the configuration's labels are the same.
        "annotations": image.labels,
    });
    let mut descriptor = blobs.add(
        "application/vnd.oci.image.manifest.v1+json",
        serde_json::to_vec(&manifest)?,
    );
    descriptor["platform"] = json!({"architecture": platform.architecture, "os": "linux"});
    Ok(descriptor)
}
