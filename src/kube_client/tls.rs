//! Whom to trust, and how to authenticate.
//!
//! Trusts what Go's TLS trusts: a certificate that leads to an authority of the kubeconfig, or one
//! that is listed there itself. An algorithm that can't be verified is refused by its name.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore,
    SignatureScheme,
};
use tower::BoxError;

use super::access::Access;
use super::certificate::{KeyPair, certificates, validity};

/// What can be verified, for messages.
const VERIFIABLE: &str =
    "RSA with SHA-256, -384 or -512, ECDSA on P-256 or P-384 with SHA-256 or -384, Ed25519";

const AN_AUTHORITYS: &str = "it is an authority's own certificate (CA:TRUE), which is only trusted where the kubeconfig's \
    certificate-authority lists it";

/// The OID of the curve (RFC 5480 §2.1.1.1).
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];

pub(super) fn config(
    access: &Access,
    certificate: Option<&KeyPair>,
) -> Result<ClientConfig, BoxError> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = if access.insecure {
        Arc::new(AnyCertificate(provider.clone()))
    } else {
        Arc::new(Verifier::new(access.ca.as_deref(), &provider)?)
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match certificate {
        Some(KeyPair { chain, key }) => builder
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .map_err(|error| {
                format!(
                    "its client-key cannot be used ({error}); supported are RSA, ECDSA on P-256 or P-384, and Ed25519"
                )
            })?,
        None => builder.with_no_client_auth(),
    };
    // Reads in parallel share one connection where the server speaks HTTP/2.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// A certificate that is not trusted, in words.
#[derive(Debug, thiserror::Error)]
#[error("the server's certificate is not trusted: {0}")]
pub(super) struct Untrusted(String);

impl Untrusted {
    /// What an error of the handshake means, if it is about the certificate.
    pub fn of(error: &Error) -> Option<Self> {
        let Error::InvalidCertificate(why) = error else {
            return None;
        };
        let words = if let CertificateError::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id,
            ..
        } = why
        {
            unsupported(signature_algorithm_id)
        } else if let CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id,
            public_key_algorithm_id,
        } = why
        {
            let key = algorithm(public_key_algorithm_id);
            format!("{} by a key of {key}", unsupported(signature_algorithm_id))
        } else if let CertificateError::Other(OtherError(other)) = why {
            match other.to_string().as_str() {
                "CaUsedAsEndEntity" => AN_AUTHORITYS.to_owned(),
                other => other.to_owned(),
            }
        } else if *why == CertificateError::UnknownIssuer {
            "it is not signed by the kubeconfig's certificate-authority".to_owned()
        } else {
            why.to_string()
        };
        Some(Self(words))
    }
}

fn unsupported(id: &[u8]) -> String {
    format!(
        "it has a signature of {}, which cannot be verified here; supported are {VERIFIABLE}",
        algorithm(id)
    )
}

/// What an algorithm is called, by the end of its identifier: the DER of its OID, in whatever
/// wrapping.
fn algorithm(id: &[u8]) -> String {
    const NAMES: [(&[u8], &str); 12] = [
        (
            &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x01],
            "ECDSA with SHA-224",
        ),
        (
            &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
            "ECDSA with SHA-256",
        ),
        (
            &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03],
            "ECDSA with SHA-384",
        ),
        (
            &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04],
            "ECDSA with SHA-512",
        ),
        (P521, "ECDSA on P-521"),
        (&[0x2b, 0x81, 0x04, 0x00, 0x21], "ECDSA on P-224"),
        (
            &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
            "ECDSA on P-256",
        ),
        (&[0x2b, 0x81, 0x04, 0x00, 0x22], "ECDSA on P-384"),
        (
            &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05],
            "RSA with SHA-1",
        ),
        (
            &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x04],
            "RSA with MD5",
        ),
        (
            &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01],
            "RSA",
        ),
        (&[0x2b, 0x65, 0x71], "Ed448"),
    ];
    let named = NAMES
        .iter()
        .find(|(oid, _)| id.windows(oid.len()).any(|part| part == *oid));
    if let Some((_, name)) = named {
        return (*name).to_owned();
    }
    let hex: Vec<String> = id.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("an algorithm that is not known here (DER {})", hex.concat())
}

/// Certificates as Go trusts them.
#[derive(Debug)]
struct Verifier {
    /// Those of the kubeconfig, each trusted as it is, too.
    pinned: Vec<CertificateDer<'static>>,
    chains: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(ca: Option<&[u8]>, provider: &Arc<CryptoProvider>) -> Result<Self, BoxError> {
        let trusted = match ca {
            Some(pem) => {
                let certificates = certificates(pem);
                if certificates.is_empty() {
                    return Err("its certificate-authority holds no certificate in PEM".into());
                }
                certificates
            }
            None => rustls_native_certs::load_native_certs().certs,
        };
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(trusted.iter().cloned());
        let chains = if roots.is_empty() {
            None
        } else {
            let builder =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
            Some(builder.build()?)
        };
        Ok(Self {
            pinned: if ca.is_some() { trusted } else { Vec::new() },
            chains,
            provider: provider.clone(),
        })
    }

    /// A certificate that is listed itself is trusted for its names and its time, whichever
    /// authority has signed it.
    fn verify_pinned(leaf: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Error> {
        verify_server_name(&ParsedCertificate::try_from(leaf)?, name)?;
        let (from, until) = validity(leaf).ok_or(CertificateError::BadEncoding)?;
        let now = Timestamp::now();
        if now < from {
            return Err(CertificateError::NotValidYet.into());
        }
        if until < now {
            return Err(CertificateError::Expired.into());
        }
        Ok(())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.pinned.iter().any(|pinned| pinned == leaf) {
            return Self::verify_pinned(leaf, name).map(|()| ServerCertVerified::assertion());
        }
        match &self.chains {
            Some(chains) => chains.verify_server_cert(leaf, intermediates, name, ocsp, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        refuse_p521(signed.scheme)?;
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        refuse_p521(signed.scheme)?;
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes(&self.provider)
    }
}

/// What the server may sign with. It is offered more than can be verified: a server whose key is of
/// another sort would only report that the handshake failed, while its certificate shows why.
fn schemes(provider: &CryptoProvider) -> Vec<SignatureScheme> {
    let mut schemes = provider
        .signature_verification_algorithms
        .supported_schemes();
    schemes.push(SignatureScheme::ECDSA_NISTP521_SHA512);
    schemes
}

fn refuse_p521(scheme: SignatureScheme) -> Result<(), Error> {
    if scheme != SignatureScheme::ECDSA_NISTP521_SHA512 {
        return Ok(());
    }
    Err(CertificateError::UnsupportedSignatureAlgorithmContext {
        signature_algorithm_id: P521.to_vec(),
        supported_algorithms: Vec::new(),
    }
    .into())
}

/// `insecure-skip-tls-verify`.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes(&self.0)
    }
}
