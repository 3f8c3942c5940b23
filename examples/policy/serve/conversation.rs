//! One connection of Postfix.

use std::sync::Arc;
use std::time::Duration;

use hikyaku::{DelegationReader, Stop, Stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::current::Engine;

/// How long Postfix may say nothing between two questions; it closes the connection after 300 s
/// itself (`smtpd_policy_service_max_idle`).
const IDLE: Duration = Duration::from_secs(600);
/// How long a question may take that has begun, and an answer to be taken.
const WITHIN: Duration = Duration::from_secs(30);
/// Octets of one read.
const READ: usize = 4096;

/// Answers until either side has had enough.
pub(super) async fn converse(mut stream: Box<dyn Stream>, engine: Arc<Engine>, mut stop: Stop) {
    let (mut reader, mut input) = (DelegationReader::default(), [0; READ]);
    loop {
        loop {
            let answer = match reader.next() {
                Ok(Some(request)) => engine.answer(&request).to_string(),
                Ok(None) => break,
                Err(error) => {
                    // Postfix defers the mail, says so in its log, and asks again on a new connection.
                    eprintln!("policy: {error}");
                    return;
                }
            };
            match timeout(WITHIN, stream.write_all(answer.as_bytes())).await {
                Ok(Ok(())) => {}
                _ => return,
            }
        }
        let patience = if reader.is_within() { WITHIN } else { IDLE };
        let read = tokio::select! {
            read = timeout(patience, stream.read(&mut input)) => read,
            () = stop.requested() => return,
        };
        match read {
            Ok(Ok(count)) if count > 0 => reader.push(&input[..count]),
            _ => return,
        }
    }
}
