//! The proxy's own certificate authority, and the certificates it shows.

use std::net::Ipv4Addr;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
    date_time_ymd,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{self, ServerConfig};

/// Why a certificate can't be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It can't be signed.
    #[error("no certificate can be made")]
    Make(#[from] rcgen::Error),
    /// It can't be used.
    #[error("a certificate just made is unusable")]
    Use(#[from] rustls::Error),
}

/// What the proxy shows to those who connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// One that is right.
    Valid,
    /// One whose time is over.
    Expired,
    /// One for another name.
    OtherName,
    /// One that an unknown authority has signed.
    OtherAuthority,
}

/// The authority that clients of the proxy trust.
#[derive(Debug)]
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(super) pem: String,
}

impl Authority {
    pub(super) fn new(name: &str) -> Result<Self, TlsError> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        Ok(Self { issuer, pem })
    }

    /// Takes connections with such a certificate, for HTTP/2 or HTTP/1.1 as the client prefers.
    pub(super) fn acceptor(&self, shown: Certificate) -> Result<TlsAcceptor, TlsError> {
        let name = match shown {
            Certificate::OtherName => "elsewhere.invalid",
            Certificate::Valid | Certificate::Expired | Certificate::OtherAuthority => "localhost",
        };
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        if shown != Certificate::OtherName {
            params
                .subject_alt_names
                .push(SanType::IpAddress(Ipv4Addr::LOCALHOST.into()));
        }
        if shown == Certificate::Expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2020, 1, 2);
        }
        let key = KeyPair::generate()?;
        let certificate = match shown {
            Certificate::OtherAuthority => params.signed_by(&key, &Self::new("unknown")?.issuer)?,
            Certificate::Valid | Certificate::Expired | Certificate::OtherName => {
                params.signed_by(&key, &self.issuer)?
            }
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
