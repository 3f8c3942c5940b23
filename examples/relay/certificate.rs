//! A certificate that nobody vouches for, for a relay that has no other one.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    time::Duration,
};

use hikyaku::{CertificateFiles, SpkiPin, now};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, date_time_ymd};

use crate::parts::Problem;

/// The certificate below `dir`, which is made if it is not there: for `hostname` and `localhost`,
/// with a key on P-256, good for ten years.
pub(crate) fn self_signed(dir: &Path, hostname: &str) -> Result<CertificateFiles, Problem> {
    let dir = dir.join("tls");
    let files = CertificateFiles { names: Vec::new(), cert: dir.join("cert.pem"), key: dir.join("key.pem") };
    if !files.cert.exists() {
        let (cert, key) = make(hostname).map_err(|error| Problem::Io(io::Error::other(error.to_string())))?;
        // The certificate is last: one that is there has its key.
        fs::create_dir_all(&dir)
            .and_then(|()| write(&files.key, &key))
            .and_then(|()| write(&files.cert, &cert))
            .map_err(|source| Problem::File { path: dir.display().to_string(), source })?;
    }
    let pin = SpkiPin::of_file(&files.cert)?;
    println!("TLS: {} is self-signed, no client will trust it; its key is {pin}", files.cert.display());
    Ok(files)
}

/// The certificate and its key, as PEM.
fn make(hostname: &str) -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    Ok((params(hostname)?.self_signed(&key)?.pem(), key.serialize_pem()))
}

fn params(hostname: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new([hostname.to_owned(), "localhost".to_owned()])?;
    params.distinguished_name.push(rcgen::DnType::CommonName, hostname);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // From yesterday, for clients whose clock is behind.
    let start = now().saturating_sub(Duration::from_secs(24 * 60 * 60)).civil();
    let year = i32::try_from(start.year).unwrap_or(1970);
    params.not_before = date_time_ymd(year, start.month, start.day);
    params.not_after = date_time_ymd(year + 10, start.month, start.day.min(28));
    Ok(params)
}

fn write(path: &Path, pem: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // One that was there may be open to others.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use hikyaku::Certificates;

    use super::*;

    fn read(files: &CertificateFiles) -> (String, String) {
        (fs::read_to_string(&files.cert).unwrap(), fs::read_to_string(&files.key).unwrap())
    }

    #[test]
    fn it_is_made_once_and_can_be_used() {
        let dir = tempfile::tempdir().unwrap();
        let files = self_signed(dir.path(), "mx.example.org").unwrap();
        assert_eq!(files.names, []);
        assert_eq!(files.cert, dir.path().join("tls/cert.pem"));
        assert_eq!(files.key, dir.path().join("tls/key.pem"));
        Certificates::load(vec![files.clone()]).unwrap();
        let first = read(&files);
        assert_eq!(self_signed(dir.path(), "mx.example.org").unwrap(), files);
        assert_eq!(read(&files), first);
        assert_ne!(make("mx.example.org").unwrap(), first);
    }

    #[test]
    fn it_is_for_this_host_and_for_ten_years() {
        let params = params("mx.example.org").unwrap();
        let names: Vec<_> = ["mx.example.org", "localhost"].map(|name| name.try_into().unwrap()).to_vec();
        assert_eq!(params.subject_alt_names, names.into_iter().map(rcgen::SanType::DnsName).collect::<Vec<_>>());
        assert_eq!(params.extended_key_usages, [ExtendedKeyUsagePurpose::ServerAuth]);
        let start = i64::from(params.not_before.year());
        assert!(params.not_before.unix_timestamp() * 1000 < now().as_millis());
        assert!(start == now().civil().year || start + 1 == now().civil().year);
        assert_eq!(i64::from(params.not_after.year()), start + 10);
        assert_eq!(params.not_after.month(), params.not_before.month());
    }

    #[test]
    fn only_its_owner_can_read_the_key() {
        let dir = tempfile::tempdir().unwrap();
        // One that a start left behind which ended too early.
        fs::create_dir(dir.path().join("tls")).unwrap();
        fs::write(dir.path().join("tls/key.pem"), "x".repeat(10_000)).unwrap();
        fs::set_permissions(dir.path().join("tls/key.pem"), Permissions::from_mode(0o644)).unwrap();
        let files = self_signed(dir.path(), "mx.example.org").unwrap();
        assert_eq!(fs::metadata(&files.key).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!read(&files).1.contains('x'.to_string().repeat(100).as_str()));
        Certificates::load(vec![files]).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("tls"), "").unwrap();
        let error = self_signed(dir.path(), "mx.example.org").unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot use {}: ", dir.path().join("tls").display())), "{error}");
    }
}
