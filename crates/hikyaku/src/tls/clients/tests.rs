use std::path::Path;

use rcgen::{DnType, ExtendedKeyUsagePurpose, IsCa, PublicKeyData, date_time_ymd};
use rustls::{
    ClientConfig, HandshakeKind, SupportedProtocolVersion,
    client::{ResolvesClientCert, Resumption},
    pki_types::{PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::{
    ServerTls, SpkiPin,
    tls::testing::{
        Authority, Folder, Identity, authority, authority_params, builder, client, client_as, client_params, connect,
        expired, handshake, params, server,
    },
};

const NAME: &str = "mx.example.org";

/// A server that believes these authorities and keys.
fn believing(authorities: &[&Authority], keys: &[&Identity], allow_server_certificates: bool) -> ServerTls {
    let folder = Folder::new();
    let pem: String = authorities.iter().map(|authority| authority.pem()).collect();
    server(&ClientCertificates {
        authorities: (!pem.is_empty()).then(|| folder.write("authorities.pem", &pem)),
        pins: keys.iter().map(|identity| pin_of(identity)).collect(),
        allow_server_certificates,
    })
}

fn pin_of(identity: &Identity) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, &identity.key.subject_public_key_info());
    digest.as_ref().try_into().unwrap()
}

fn known(identity: &Identity, names: &[&str]) -> Option<Certificate> {
    Some(Certificate { spki: pin_of(identity), names: names.iter().map(|name| Box::from(*name)).collect() })
}

/// What a server makes of this chain.
async fn seen(server: &ServerTls, identity: &Identity, others: &[CertificateDer<'static>]) -> Option<Certificate> {
    connect(server, client_as(identity, others), NAME).await.tls.certificate
}

#[tokio::test]
async fn a_certificate_of_an_authority_shows_its_names() {
    let authority = authority("ours");
    let server = believing(&[&authority], &[], false);
    for version in [&TLS12, &TLS13] {
        let mut params = client_params(&["Client.Example.ORG", "b.example", "client.example.org", "*.example.net"]);
        params.subject_alt_names.extend([
            rcgen::SanType::Rfc822Name("Ann.Lee@Example.ORG".try_into().unwrap()),
            rcgen::SanType::Rfc822Name("no address".try_into().unwrap()),
            rcgen::SanType::Rfc822Name("two@example.org\r\nx: y".try_into().unwrap()),
            rcgen::SanType::IpAddress("192.0.2.1".parse().unwrap()),
            rcgen::SanType::URI("https://uri.example".try_into().unwrap()),
        ]);
        let identity = Identity::signed_by(params, &authority);
        let chain = vec![identity.certificate.clone()];
        let config = builder(&[version]).with_client_auth_cert(chain, identity.key()).unwrap();
        let tls = connect(&server, config, NAME).await.tls;
        assert_eq!(tls.certificate, known(&identity, &["client.example.org", "b.example", "ann.lee@example.org"]));
    }
}

#[tokio::test]
async fn r30_certificates_that_are_not_to_be_believed_are_as_none() {
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    // Of the same name, with another key.
    let double = authority("ours");
    let server = believing(&[&ours], &[], false);
    let believed = Identity::signed_by(client_params(&["client.example"]), &ours);
    assert_eq!(seen(&server, &believed, &[]).await, known(&believed, &["client.example"]));

    let for_usages = |usages: Vec<ExtendedKeyUsagePurpose>| {
        let mut params = params(&["client.example"]);
        params.extended_key_usages = usages;
        params
    };
    let mut not_yet = client_params(&["client.example"]);
    not_yet.not_before = date_time_ymd(4000, 1, 1);
    not_yet.not_after = date_time_ymd(4001, 1, 1);
    let mut authority_of_its_own = client_params(&["client.example"]);
    authority_of_its_own.is_ca = authority_params("").is_ca;
    let mut common_name_only = client_params(&[]);
    common_name_only.distinguished_name.push(DnType::CommonName, "client.example");
    for (what, identity) in [
        ("self-signed", Identity::self_signed(client_params(&["client.example"]))),
        ("another authority", Identity::signed_by(client_params(&["client.example"]), &theirs)),
        ("an authority of the same name", Identity::signed_by(client_params(&["client.example"]), &double)),
        ("expired", Identity::signed_by(expired(client_params(&["client.example"])), &ours)),
        ("not yet valid", Identity::signed_by(not_yet, &ours)),
        ("for servers", Identity::signed_by(for_usages(vec![ExtendedKeyUsagePurpose::ServerAuth]), &ours)),
        ("for mail", Identity::signed_by(for_usages(vec![ExtendedKeyUsagePurpose::EmailProtection]), &ours)),
        ("an authority's own", Identity::signed_by(authority_of_its_own, &ours)),
        ("only a common name", Identity::signed_by(common_name_only, &ours)),
        ("only a wildcard", Identity::signed_by(client_params(&["*.example.org"]), &ours)),
        ("the authority itself", of_authority(&ours)),
    ] {
        assert_eq!(seen(&server, &identity, &[]).await, None, "{what}");
        // Its own authority beside it changes nothing.
        assert_eq!(seen(&server, &identity, &[theirs.der().clone(), double.der().clone()]).await, None, "{what}");
    }
}

fn of_authority(authority: &Authority) -> Identity {
    let key = rcgen::KeyPair::from_pem(&authority.key().serialize_pem()).unwrap();
    Identity { certificate: authority.der().clone(), pem: authority.pem(), key }
}

#[tokio::test]
async fn certificates_for_servers_are_believed_by_a_switch_only() {
    let authority = authority("ours");
    let identity = |usages: &[ExtendedKeyUsagePurpose]| {
        let mut params = params(&["client.example"]);
        params.extended_key_usages = usages.to_vec();
        Identity::signed_by(params, &authority)
    };
    use ExtendedKeyUsagePurpose::{ClientAuth, EmailProtection, ServerAuth};
    for (usages, without, with) in [
        (&[][..], true, true),
        (&[ClientAuth], true, true),
        (&[ServerAuth], false, true),
        (&[ServerAuth, ClientAuth], true, true),
        (&[EmailProtection], false, false),
    ] {
        for (allow, expected) in [(false, without), (true, with)] {
            let identity = identity(usages);
            let server = believing(&[&authority], &[], allow);
            let expected = if expected { known(&identity, &["client.example"]) } else { None };
            assert_eq!(seen(&server, &identity, &[]).await, expected, "{usages:?} {allow}");
        }
    }
}

#[tokio::test]
async fn the_chain_may_have_certificates_between() {
    let root = authority("root");
    let between_key = rcgen::KeyPair::generate().unwrap();
    let between = rcgen::CertifiedIssuer::signed_by(authority_params("between"), between_key, &root).unwrap();
    let identity = Identity::signed_by(client_params(&["client.example"]), &between);
    let server = believing(&[&root], &[], false);
    assert_eq!(seen(&server, &identity, &[between.der().clone()]).await, known(&identity, &["client.example"]));
    assert_eq!(seen(&server, &identity, &[]).await, None);
    // One that is no authority signs nothing.
    let mut no_authority = authority_params("between");
    no_authority.is_ca = IsCa::ExplicitNoCa;
    let key = rcgen::KeyPair::generate().unwrap();
    let no_authority = rcgen::CertifiedIssuer::signed_by(no_authority, key, &root).unwrap();
    let identity = Identity::signed_by(client_params(&["client.example"]), &no_authority);
    assert_eq!(seen(&server, &identity, &[no_authority.der().clone()]).await, None);
}

#[tokio::test]
async fn a_known_key_is_believed_whatever_its_certificate_says() {
    let authority = authority("ours");
    let mut own_authority = client_params(&["ca.example"]);
    own_authority.is_ca = authority_params("").is_ca;
    for identity in [
        Identity::self_signed(client_params(&["client.example"])),
        Identity::self_signed(expired(params(&[]))),
        Identity::self_signed(own_authority),
        Identity::signed_by(expired(client_params(&["client.example"])), &authority),
    ] {
        let other = Identity::self_signed(client_params(&["client.example"]));
        assert_eq!(seen(&believing(&[], &[&identity], false), &identity, &[]).await, known(&identity, &[]));
        let both = believing(&[&authority], &[&other, &identity], false);
        assert_eq!(seen(&both, &identity, &[]).await, known(&identity, &[]));
        assert_eq!(seen(&believing(&[], &[&other], false), &identity, &[]).await, None);
    }
    let signed = Identity::signed_by(client_params(&["client.example"]), &authority);
    let server = believing(&[&authority], &[&signed], false);
    assert_eq!(seen(&server, &signed, &[]).await, known(&signed, &["client.example"]));
}

#[tokio::test]
async fn a_known_key_further_up_the_chain_is_not_the_clients() {
    let known = Identity::self_signed(client_params(&["known.example"]));
    let other = Identity::self_signed(client_params(&["other.example"]));
    let server = believing(&[], &[&known], false);
    assert_eq!(seen(&server, &other, std::slice::from_ref(&known.certificate)).await, None);
}

#[tokio::test]
async fn an_rsa_key_is_known_by_the_digest_that_openssl_prints() {
    let folder = Folder::new();
    let path = folder.write("cert.pem", include_str!("../testdata/rsa.cert.pem"));
    let pin = SpkiPin::of_file(&path).unwrap();
    assert_eq!(pin.to_string(), RSA_PIN);
    let chain = read_certificates(&path).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../testdata/rsa.pkcs1.pem")).unwrap();
    let server = server(&ClientCertificates { pins: vec![pin.0], ..ClientCertificates::default() });
    for version in [&TLS12, &TLS13] {
        let config = builder(&[version]).with_client_auth_cert(chain.clone(), key.clone_key()).unwrap();
        let certificate = connect(&server, config, NAME).await.tls.certificate;
        assert_eq!(certificate, Some(Certificate { spki: pin.0, names: Vec::new() }));
    }
}

/// `openssl x509 -in rsa.cert.pem -pubkey -noout | openssl pkey -pubin -outform der | openssl
/// dgst -sha256 -binary | base64`
const RSA_PIN: &str = "sha256//MQT6KNp2Pcix31qxUosgrc+WNXIvvDREfvO1S3bOlMI=";

/// Shows a chain, and signs with any key.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn shows(
    version: &'static SupportedProtocolVersion,
    chain: &[CertificateDer<'static>],
    key: &Identity,
) -> ClientConfig {
    let key = provider().key_provider.load_private_key(key.key()).unwrap();
    let shows = Shows(Arc::new(CertifiedKey::new(chain.to_vec(), key)));
    builder(&[version]).with_client_cert_resolver(Arc::new(shows))
}

#[tokio::test]
async fn who_has_not_the_key_does_not_get_in() {
    let authority = authority("ours");
    let victim = Identity::signed_by(client_params(&["client.example"]), &authority);
    let thief = Identity::signed_by(client_params(&["thief.example"]), &authority);
    let server = believing(&[&authority], &[&victim], false);
    for version in [&TLS12, &TLS13] {
        let stolen = [victim.certificate.clone(), thief.certificate.clone()];
        let (_, end) = handshake(&server, shows(version, &stolen, &thief), NAME).await;
        let error = end.map(|(_, tls)| tls).unwrap_err();
        let expected = Error::InvalidCertificate(rustls::CertificateError::BadSignature);
        assert_eq!(crate::tls::testing::cause(&error), &expected, "{version:?}");
        let config = shows(version, &stolen[..1], &victim);
        assert_eq!(connect(&server, config, NAME).await.tls.certificate, known(&victim, &["client.example"]));
    }
}

#[tokio::test]
async fn a_certificate_that_cannot_be_read_is_as_none() {
    let key = Identity::self_signed(client_params(&["client.example"]));
    let server = believing(&[], &[&key], false);
    // The first octets of the one whose key is known, nothing at all, and version 1.
    let cut = CertificateDer::from(key.certificate[..key.certificate.len() - 1].to_vec());
    let mut first = key.certificate.to_vec();
    let version = first.windows(5).position(|octets| octets == [0xa0, 3, 2, 1, 2]).unwrap();
    first[version + 4] = 0;
    for certificate in [cut, CertificateDer::from(vec![0x30, 0]), CertificateDer::from(first)] {
        for version in [&TLS12, &TLS13] {
            let config = shows(version, &[certificate.clone(), key.certificate.clone()], &key);
            assert_eq!(connect(&server, config, NAME).await.tls.certificate, None);
        }
    }
}

#[tokio::test]
async fn nobody_is_asked_without_authorities_and_keys() {
    let identity = Identity::self_signed(client_params(&["client.example"]));
    let connected = connect(&believing(&[], &[], true), client_as(&identity, &[]), NAME).await;
    assert_eq!(connected.tls.certificate, None);
    assert!(connected.server.get_ref().1.peer_certificates().is_none());
    // Where somebody is asked, nobody must.
    let asking = believing(&[&authority("ours")], &[], false);
    assert_eq!(connect(&asking, client(), NAME).await.tls.certificate, None);
}

#[tokio::test]
async fn c1_12_a_certificate_is_judged_anew_when_a_session_is_resumed() {
    let authority = authority("ours");
    let identity = Identity::signed_by(client_params(&["client.example"]), &authority);
    for version in [&TLS12, &TLS13] {
        let mut server = believing(&[&authority], &[], false);
        let chain = vec![identity.certificate.clone()];
        let mut config = builder(&[version]).with_client_auth_cert(chain, identity.key()).unwrap();
        config.resumption = Resumption::in_memory_sessions(8);
        let resume = async |server: &ServerTls| {
            let mut connected = connect(server, config.clone(), NAME).await;
            connected.server.write_all(b"220 ").await.unwrap();
            connected.server.flush().await.unwrap();
            connected.client.read_exact(&mut [0; 4]).await.unwrap();
            (connected.server.get_ref().1.handshake_kind().unwrap(), connected.tls.certificate)
        };
        let expected = known(&identity, &["client.example"]);
        assert_eq!(resume(&server).await, (HandshakeKind::Full, expected.clone()));
        assert_eq!(resume(&server).await, (HandshakeKind::Resumed, expected));
        server.forget_clients();
        assert_eq!(resume(&server).await, (HandshakeKind::Resumed, None));
        // A listener that asks nobody takes nothing over from one that does.
        assert_eq!(resume(&believing(&[], &[], false)).await, (HandshakeKind::Full, None));
    }
}

#[test]
fn wrong_files_of_authorities() {
    let folder = Folder::new();
    let problem = |path: &Path| {
        let clients = ClientCertificates { authorities: Some(path.to_owned()), ..ClientCertificates::default() };
        Clients::read(&clients).unwrap_err().to_string()
    };
    let missing = folder.path("missing");
    assert_eq!(problem(&missing), format!("{}: No such file or directory (os error 2)", missing.display()));
    let empty = folder.write("empty.pem", "");
    let expected = format!("{}: there is no certificate in it (`-----BEGIN CERTIFICATE-----`)", empty.display());
    assert_eq!(problem(&empty), expected);
    let garbled = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let garbled = folder.write("garbled.pem", &[&authority("ours").pem(), garbled].concat());
    let text = problem(&garbled);
    assert!(text.starts_with(&format!("{}: certificate 2 cannot be used: ", garbled.display())), "{text}");
}
