//! The manifests in `crds/` are what the types say.

use std::path::Path;
use std::{env, fs};

use leasehold::api;

/// `UPDATE_CRDS=1` writes them instead.
#[test]
fn the_manifests_say_what_the_types_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    for definition in api::definitions().unwrap() {
        let manifest = folder.join(format!(
            "{}.yaml",
            definition.metadata.name.as_deref().unwrap()
        ));
        let expected = serde_norway::to_string(&definition).unwrap();
        if env::var_os("UPDATE_CRDS").is_some() {
            fs::write(&manifest, expected).unwrap();
        } else {
            assert_eq!(
                fs::read_to_string(&manifest).unwrap_or_default(),
                expected,
                "{} is out of date: run UPDATE_CRDS=1 cargo test --test crds",
                manifest.display()
            );
        }
    }
}
