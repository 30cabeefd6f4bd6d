//! Certificates: the client's own, whether it has expired, and what the algorithms are called.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tower::BoxError;

/// Where kubelet keeps the certificate that it rotates, with its key (kubelet, `--cert-dir`).
const ROTATED: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";

/// A certificate with what leads to its authority, and its key.
pub(super) struct KeyPair {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

impl KeyPair {
    /// Of PEM, each of which may hold other things too.
    pub fn of(chain: &[u8], key: &[u8]) -> Result<Self, BoxError> {
        let chain = certificates(chain);
        if chain.is_empty() {
            return Err("its client-certificate holds no certificate in PEM".into());
        }
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| "its client-key holds no private key in PEM (PKCS#8, PKCS#1 or SEC1)")?;
        Ok(Self { chain, key })
    }

    pub fn has_expired(&self) -> bool {
        self.chain
            .first()
            .is_some_and(|leaf| validity(leaf).is_some_and(|(_, until)| until < Timestamp::now()))
    }
}

/// The pair that kubelet rotates, if it is there and has not expired.
pub(super) fn rotated() -> Option<KeyPair> {
    let pem = fs::read(Path::new(ROTATED)).ok()?;
    let pair = KeyPair::of(&pem, &pem).ok()?;
    (!pair.has_expired()).then_some(pair)
}

/// The certificates in a text of PEM; what else is in it is passed over, as Go does.
pub(super) fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem)
        .filter_map(Result::ok)
        .collect()
}

/// From when until when a certificate is valid (RFC 5280 §4.1.2.5). Only that is read of it: whom
/// it binds to what is for the verifier.
pub(super) fn validity(certificate: &[u8]) -> Option<(Timestamp, Timestamp)> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let (_, certificate, _) = element(certificate)?;
    let (_, mut rest, _) = element(certificate)?;
    if rest.first() == Some(&VERSION) {
        rest = element(rest)?.2;
    }
    // Serial number, signature, issuer.
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (tag, times, _) = element(rest)?;
    let (from_tag, from, rest) = element(times)?;
    let (until_tag, until, _) = element(rest)?;
    (tag == SEQUENCE)
        .then_some(())
        .and_then(|()| Some((time(from_tag, from)?, time(until_tag, until)?)))
}

/// Tag, content and what follows of the first element of DER (X.690 §8.1).
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        let (bytes, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if bytes.len() > 4 {
            return None;
        }
        length = bytes
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte));
        rest = after;
    }
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

/// A time in UTC: `260131120000Z` with two digits of the year until 2049, or `20500131120000Z`.
fn time(tag: u8, digits: &[u8]) -> Option<Timestamp> {
    const UTC_TIME: u8 = 0x17;
    let digits = std::str::from_utf8(digits).ok()?.strip_suffix('Z')?;
    let digits = match (tag, digits.get(..2)?.parse::<u8>().ok()?) {
        (UTC_TIME, 50..) => format!("19{digits}"),
        (UTC_TIME, _) => format!("20{digits}"),
        _ => digits.to_owned(),
    };
    let part = |range| digits.get(range);
    let text = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0..4)?,
        part(4..6)?,
        part(6..8)?,
        part(8..10)?,
        part(10..12)?,
        part(12..14)?
    );
    text.parse().ok()
}
