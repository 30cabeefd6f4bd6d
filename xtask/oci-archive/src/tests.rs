use std::io::Read;

use serde_json::Value;

use super::*;

fn image(name: &str) -> Image {
    let file = |path: &str| Entry {
        path: path.to_owned(),
        content: path.as_bytes().to_vec(),
        executable: path != "LICENSE",
    };
    let platform = |architecture: &str| Platform {
        architecture: architecture.to_owned(),
        files: vec![
            file("leasehold"),
            file("usr/bin/leasehold-gc"),
            file("LICENSE"),
        ],
    };
    Image {
        name: name.to_owned(),
        entrypoint: vec!["/leasehold".to_owned()],
        user: "65532:65532".to_owned(),
        labels: BTreeMap::from([(
            "org.opencontainers.image.version".to_owned(),
            "1".to_owned(),
        )]),
        platforms: vec![platform("amd64"), platform("arm64")],
        compressed: true,
    }
}

/// The files of an archive.
fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut tar = tar::Archive::new(archive);
    let read = |entry: std::io::Result<tar::Entry<&[u8]>>| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (entry.path().unwrap().display().to_string(), content)
    };
    tar.entries().unwrap().map(read).collect()
}

fn archive(image: &Image) -> Vec<u8> {
    let mut bytes = Vec::new();
    layout::write(image, &mut bytes).unwrap();
    bytes
}

#[test]
fn the_same_files_give_the_same_bytes_in_any_order() {
    let one = image("leasehold:0.1.0");
    let mut other = one.clone();
    other.platforms[0].files.reverse();
    assert_eq!(archive(&one), archive(&other));
}

#[test]
fn every_blob_is_what_its_name_says_and_every_reference_is_there() {
    let files = files(&archive(&image("leasehold:0.1.0")));
    let mut open = vec!["index.json".to_owned()];
    let mut seen = 0;
    while let Some(path) = open.pop() {
        let content = &files[&path];
        if let Some(hash) = path.strip_prefix("blobs/sha256/") {
            assert_eq!(digest::digest(content), format!("sha256:{hash}"));
        }
        seen += 1;
        let Ok(json) = serde_json::from_slice::<Value>(content) else {
            continue;
        };
        let lists = ["manifests", "layers"].map(|list| json[list].as_array().cloned());
        let config = json["config"]
            .get("digest")
            .map(|_| vec![json["config"].clone()]);
        for reference in lists.into_iter().chain([config]).flatten().flatten() {
            let digest = reference["digest"].as_str().unwrap();
            let path = format!("blobs/{}", digest.replace(':', "/"));
            assert_eq!(reference["size"], files[&path].len(), "{path}");
            open.push(path);
        }
    }
    // Index, list, two manifests with a configuration each, and a layer, which both share.
    assert_eq!(seen, 1 + 1 + 2 * 3);
}

#[test]
fn a_layer_has_root_as_owner_and_no_date() {
    let layer = layer::layer(&image("x").platforms[0].files, false).unwrap();
    let mut tar = tar::Archive::new(layer.blob.as_slice());
    let mut listing = Vec::new();
    for entry in tar.entries().unwrap() {
        let entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        assert_eq!(header.mtime().unwrap(), 0);
        let path = entry.path().unwrap().display().to_string();
        listing.push(format!("{:o} {path}", header.mode().unwrap()));
    }
    assert_eq!(
        listing,
        [
            "755 usr/",
            "755 usr/bin/",
            "644 LICENSE",
            "755 leasehold",
            "755 usr/bin/leasehold-gc"
        ]
    );
}

#[test]
fn names_are_completed_as_container_runtimes_do() {
    for (short, full) in [
        ("leasehold", "docker.io/library/leasehold:latest"),
        ("leasehold:0.1.0", "docker.io/library/leasehold:0.1.0"),
        ("team/leasehold:1", "docker.io/team/leasehold:1"),
        ("localhost/leasehold", "localhost/leasehold:latest"),
        (
            "registry.example:5000/a/leasehold:1",
            "registry.example:5000/a/leasehold:1",
        ),
    ] {
        assert_eq!(image(short).full_name(), full);
    }
}
