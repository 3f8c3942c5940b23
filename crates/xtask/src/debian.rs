//! `--setup`: the programs that the interop tests run, from Debian packages.
//!
//! No service is started: the packages that are installed hold none, and those of
//! servers are unpacked into `target/interop` (Debian's mail servers also exclude
//! one another as packages), where the tests start and stop them.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::interop;
use crate::run::{output, succeed};

/// (program, package that holds it).
const INSTALLED: [(&str, &str); 8] = [
    ("/usr/bin/swaks", "swaks"),
    ("/usr/bin/curl", "curl"),
    ("/usr/bin/python3", "python3"),
    ("/usr/bin/msmtp", "msmtp"),
    ("/usr/bin/sslscan", "sslscan"),
    ("/usr/bin/ldns-signzone", "ldnsutils"),
    ("/usr/bin/dkimsign", "python3-dkim"),
    ("/usr/bin/nmap", "nmap"),
];

/// What those, and the unpacked servers, load while they run, and only recommend: TLS for
/// swaks, SASL mechanisms and the names of ports for Postfix.
const LOADED: [&str; 3] = ["libnet-ssleay-perl", "libsasl2-modules", "netbase"];

/// (program, package that holds it), of servers: unpacked and not installed. The path is one
/// inside the package.
const UNPACKED: [(&str, &str); 5] = [
    ("usr/sbin/smtp-sink", "postfix"),
    ("usr/sbin/nsd", "nsd"),
    ("usr/sbin/opendkim", "opendkim"),
    ("usr/lib/postgresql/15/bin/postgres", "postgresql-15"),
    ("usr/lib/postgresql/15/bin/pg_basebackup", "postgresql-client-15"),
];

/// Installs and unpacks what is missing, and prints the list.
pub(crate) fn install() -> Result<(), String> {
    let names: Vec<&str> = INSTALLED.iter().map(|(_, package)| *package).chain(LOADED).collect();
    println!("installed from Debian packages where missing: {}", names.join(", "));
    let unpacked = UNPACKED.map(|(_, package)| package).join(", ");
    println!("unpacked into {}: {unpacked}", interop().display());
    let missing = INSTALLED.iter().filter(|(program, _)| !Path::new(program).exists()).map(|(_, package)| *package);
    let missing: Vec<&str> = missing.chain(LOADED.into_iter().filter(|package| !is_installed(package))).collect();
    let packed = UNPACKED.iter().filter(|(program, package)| !interop().join(package).join(program).exists());
    let packed: Vec<&str> = packed.map(|(_, package)| *package).collect();
    if missing.is_empty() && packed.is_empty() {
        println!("all of it is there");
        return Ok(());
    }
    if !Path::new("/etc/debian_version").exists() || !is_root()? {
        // No failure of this step: the tests whose program is missing fail by name.
        println!("this is not root on Debian: nothing is installed");
        return Ok(());
    }
    succeed(Command::new("apt-get").args(["--quiet", "update"]))?;
    packages(&missing)?;
    packed.into_iter().try_for_each(unpack)
}

/// Installs packages by name.
///
/// # Errors
/// This is not root on Debian, or apt-get fails.
pub(crate) fn install_packages(names: &[&str]) -> Result<(), String> {
    if !Path::new("/etc/debian_version").exists() || !is_root()? {
        return Err(format!("this is not root on Debian: please install {}", names.join(", ")));
    }
    succeed(Command::new("apt-get").args(["--quiet", "update"]))?;
    packages(names)
}

fn is_installed(package: &str) -> bool {
    let status = output(Command::new("dpkg-query").args(["--show", "--showformat=${db:Status-Status}", package]));
    status.is_ok_and(|status| status == "installed")
}

fn is_root() -> Result<bool, String> {
    Ok(output(Command::new("id").arg("-u"))?.trim() == "0")
}

fn packages(names: &[&str]) -> Result<(), String> {
    if names.is_empty() {
        return Ok(());
    }
    let mut install = Command::new("apt-get");
    install.args(["--quiet", "--yes", "--no-install-recommends", "--no-upgrade", "install"]).args(names);
    succeed(install.env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Downloads a package, unpacks it beside its own folder and renames it at the
/// end, so that a broken attempt is never taken for a whole one.
fn unpack(package: &str) -> Result<(), String> {
    let (folder, unpacked) = (interop().join("download"), interop().join(package));
    let describe = |error: std::io::Error| format!("{}: {error}", folder.display());
    let _ = fs::remove_dir_all(&folder);
    let _ = fs::remove_dir_all(&unpacked);
    fs::create_dir_all(&folder).map_err(describe)?;
    succeed(Command::new("apt-get").args(["--quiet", "download", package]).current_dir(&folder))?;
    let mut entries = fs::read_dir(&folder).map_err(describe)?;
    let archive = entries.next().ok_or("apt-get has downloaded nothing")?.map_err(describe)?.path();

    // Its libraries are packages of their own; its services stay where they are.
    let depends = output(Command::new("dpkg-deb").arg("--field").arg(&archive).arg("Depends"))?;
    packages(&libraries(&depends))?;

    let tree = folder.join("tree");
    succeed(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(&tree))?;
    fs::rename(&tree, &unpacked).map_err(describe)?;
    fs::remove_dir_all(&folder).map_err(describe)
}

/// The shared libraries among a package's dependencies.
fn libraries(depends: &str) -> Vec<&str> {
    let names = depends.split(',').filter_map(|one| one.split_whitespace().next());
    names.filter(|name| name.starts_with("lib")).collect()
}

#[test]
fn libraries_are_the_packages_that_begin_with_lib() {
    let depends = "libc6 (>= 2.34), libdb5.3, debconf (>= 0.5) | debconf-2.0, adduser (>= 3.48), libssl3 (>= 3.0.0)\n";
    assert_eq!(libraries(depends), ["libc6", "libdb5.3", "libssl3"]);
}
