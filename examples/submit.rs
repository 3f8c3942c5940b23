//! Sends a file as a mail; it says nothing when the mail was taken.

use std::{env, error::Error, fs, net::ToSocketAddrs, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use hikyaku::session::client::{Config, Envelope, TlsMode};
use hikyaku::session::sasl::{Password, client::Credentials};
use hikyaku::{ClientTls, Connection, Target, wire::Body};

/// Sends a file as a mail; it says nothing when the mail was taken.
#[derive(Parser)]
struct Submit {
    /// HOST:PORT of the server.
    server: String,
    from: String,
    to: String,
    file: PathBuf,
    /// How TLS begins (ports 587 and 465); without it, there is none.
    #[arg(long, value_name = "HOW", value_parser = ["starttls", "implicit"])]
    tls: Option<String>,
    /// PEM file of the authorities of which one has signed the server's certificate.
    #[arg(long, value_name = "FILE", default_value = "/etc/ssl/certs/ca-certificates.crt")]
    authorities: PathBuf,
    /// Who logs in, with the password in the environment variable SUBMIT_PASSWORD.
    #[arg(long, value_name = "NAME", requires = "tls")]
    user: Option<Box<str>>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Err(error) = submit(Submit::parse()).await else { return ExitCode::SUCCESS };
    eprintln!("submit: {error}");
    ExitCode::FAILURE
}

async fn submit(Submit { server, from, to, file, tls, authorities, user }: Submit) -> Result<(), Box<dyn Error>> {
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let text = bytes::Bytes::from(text.replace("\r\n", "\n").replace('\n', "\r\n"));
    let mut envelope = Envelope::new(format!("<{from}>").parse()?, vec![format!("<{to}>").parse()?]);
    envelope.body = if text.is_ascii() { Body::SevenBit } else { Body::EightBitMime };
    let mut config = Config::new("localhost".parse()?);
    let mode = |how: &String| if how == "implicit" { TlsMode::Implicit } else { TlsMode::Required };
    config.tls = tls.as_ref().map_or(TlsMode::Off, mode);
    let host = server.rsplit_once(':').ok_or("the server is not HOST:PORT")?.0.trim_matches(['[', ']']);
    let tls = tls.map(|_| ClientTls::verified(host, &authorities)).transpose()?;
    let target = Target::Tcp(server.to_socket_addrs()?.next().ok_or("the server has no address")?);
    let mut connection = Connection::open(&target, Arc::new(config), tls.as_ref(), Duration::from_secs(30)).await?;
    if let Some(user) = user {
        let password = Password::new(env::var("SUBMIT_PASSWORD").map_err(|_| "SUBMIT_PASSWORD is not set")?);
        let credentials = Credentials::Password { user, password };
        connection = connection.authenticate(&credentials).await.map_err(|outcome| outcome.reply.to_string())?;
    }
    let (settled, connection) = connection.send(&envelope, &text).await;
    if let Some(connection) = connection {
        connection.quit().await;
    }
    let refused = settled.into_iter().find(|settled| !settled.is_delivered());
    refused.map_or(Ok(()), |settled| Err(settled.into_outcome().reply.to_string().into()))
}
