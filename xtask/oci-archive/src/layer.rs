//! A layer: a tar of files, the folders above them included.

use std::collections::BTreeSet;
use std::io::Write;

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use crate::Entry;
use crate::digest::digest;

/// A layer, and how the configuration and the manifest name it.
pub(crate) struct Layer {
    pub(crate) media_type: &'static str,
    pub(crate) blob: Vec<u8>,
    /// The digest before compression.
    pub(crate) diff_id: String,
}

pub(crate) fn layer(files: &[Entry], compressed: bool) -> Result<Layer> {
    let tar = tar(files)?;
    let diff_id = digest(&tar);
    if !compressed {
        return Ok(Layer {
            media_type: "application/vnd.oci.image.layer.v1.tar",
            blob: tar,
            diff_id,
        });
    }
    // No file name and no time in the header: they are not part of the content.
    let mut gzip = GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Compression::best());
    gzip.write_all(&tar).context("compress a layer")?;
    Ok(Layer {
        media_type: "application/vnd.oci.image.layer.v1.tar+gzip",
        blob: gzip.finish().context("compress a layer")?,
        diff_id,
    })
}

fn tar(files: &[Entry]) -> Result<Vec<u8>> {
    let mut files: Vec<&Entry> = files.iter().collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let folders: BTreeSet<&str> = files
        .iter()
        .flat_map(|file| {
            file.path
                .match_indices('/')
                .map(|(end, _)| &file.path[..end])
        })
        .collect();
    let mut tar = Builder::new(Vec::new());
    for folder in folders {
        append(
            &mut tar,
            &format!("{folder}/"),
            EntryType::Directory,
            0o755,
            &[],
        )?;
    }
    for file in files {
        let mode = if file.executable { 0o755 } else { 0o644 };
        append(
            &mut tar,
            &file.path,
            EntryType::Regular,
            mode,
            &file.content,
        )?;
    }
    tar.into_inner().context("write a layer")
}

/// Appends an entry of root's, dated 1970.
pub(crate) fn append<W: Write>(
    tar: &mut Builder<W>,
    path: &str,
    kind: EntryType,
    mode: u32,
    content: &[u8],
) -> Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(u64::try_from(content.len())?);
    tar.append_data(&mut header, path, content)
        .with_context(|| format!("write {path}"))
}
