//! How blobs are named.

use sha2::{Digest, Sha256};

/// The digest of a blob (OCI image specification, "Digests").
pub(crate) fn digest(blob: &[u8]) -> String {
    let hash = Sha256::digest(blob);
    let digits: Vec<String> = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{}", digits.concat())
}
