//! A certificate that nobody vouches for, for a relay that has no other one.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use hikyaku::{CertificateFiles, SpkiPin};

use crate::parts::Problem;

/// The certificate below `dir`, which is made if it is not there.
pub(crate) fn self_signed(dir: &Path, hostname: &str) -> Result<CertificateFiles, Problem> {
    let dir = dir.join("tls");
    let files = CertificateFiles { names: Vec::new(), cert: dir.join("cert.pem"), key: dir.join("key.pem") };
    if !files.cert.exists() {
        let made = rcgen::generate_simple_self_signed([hostname.to_owned(), "localhost".to_owned()]);
        let made = made.map_err(|error| io::Error::other(error.to_string()))?;
        fs::create_dir_all(&dir)?;
        write(&files.key, &made.signing_key.serialize_pem())?;
        write(&files.cert, &made.cert.pem())?;
    }
    let pin = SpkiPin::of_file(&files.cert)?;
    println!("TLS: {} is self-signed, no client will trust it; its key is {pin}", files.cert.display());
    Ok(files)
}

fn write(path: &Path, pem: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()
}
