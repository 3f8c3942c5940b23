//! Sends a file as a mail: `submit ADDRESS:PORT FROM TO FILE`. It says nothing when the mail was taken.

use std::{env, error::Error, process::ExitCode, sync::Arc, time::Duration};

use bytes::Bytes;
use hikyaku::{
    Connection, Target,
    queue::{BodyReader, QueueError},
    session::client::{Config, Envelope},
    wire::Body,
};

/// The message with the line ends of the wire.
struct Message(Bytes, Bytes);

impl BodyReader for Message {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn prepend(&self) -> &Bytes {
        &self.1
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes, QueueError> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.0.len());
        Ok(self.0.slice(from..self.0.len().min(from.saturating_add(max))))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let Err(error) = submit().await else { return ExitCode::SUCCESS };
    eprintln!("submit: {error}");
    ExitCode::FAILURE
}

async fn submit() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [server, from, to, file] = &arguments[..] else {
        return Err("expected ADDRESS:PORT FROM TO FILE".into());
    };
    let text = String::from_utf8_lossy(&std::fs::read(file).map_err(|error| format!("{file}: {error}"))?)
        .replace("\r\n", "\n")
        .replace('\n', "\r\n");
    let mut envelope = Envelope::new(format!("<{from}>").parse()?, vec![format!("<{to}>").parse()?]);
    envelope.body = if text.is_ascii() { Body::SevenBit } else { Body::EightBitMime };
    let config = Arc::new(Config::new("localhost".parse()?));
    let target = Target::Tcp(server.parse().map_err(|_| format!("{server} is not ADDRESS:PORT"))?);
    let connection =
        Connection::open(&target, config, Duration::from_secs(30)).await.map_err(|o| o.reply.to_string())?;
    let (settled, connection) = connection.send(&envelope, &Message(text.into(), Bytes::new())).await;
    if let Some(connection) = connection {
        connection.quit().await;
    }
    let refused = settled.into_iter().find(|settled| !settled.is_delivered());
    refused.map_or(Ok(()), |settled| Err(settled.into_outcome().reply.to_string().into()))
}
