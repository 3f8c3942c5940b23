//! Servers: listeners, what their connections are served with, and who is turned away.

mod channel;
mod converse;
mod handler;
mod wire;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use hikyaku_session::server::{Config, Limit, Peer, Step, start};
use hikyaku_wire::Reply;
use tokio::{
    io::AsyncWriteExt,
    task::JoinSet,
    time::{sleep, timeout},
};

pub use self::{converse::converse, handler::Handler};
use crate::{Gate, Listener, ServerTls, Stop, Stream, id};

/// What the connections of a listener are served with.
#[derive(Clone, Debug)]
pub struct Service {
    /// What the machine is told.
    pub session: Arc<Config>,
    /// TLS, if `session` allows it.
    pub tls: Option<ServerTls>,
    /// What all listeners together allow.
    pub gate: Arc<Gate>,
}

/// How long running transactions may go on after a request to stop.
const GRACE: Duration = Duration::from_secs(60);
/// How long to wait where the system has no file descriptor left.
const BACK_OFF: Duration = Duration::from_millis(100);
/// How long a peer that is turned away may take to accept one line.
const TURNED_AWAY: Duration = Duration::from_secs(1);

/// Accepts connections until it is asked to stop, each with a handler of its own, and ends when
/// the last of them has ended.
///
/// A connection that the gate does not admit gets 421 and is closed, without a word where the
/// listener's TLS is implicit. Where the system has no file descriptor left, connections wait, and
/// those that idle are hurried as when the gate is nearly full. On a request to stop the listener is
/// closed at once, idle connections get 421, and running transactions have a minute to finish.
pub async fn serve<H: Handler>(listener: Listener, service: Service, handler: impl Fn() -> H + Send, mut stop: Stop) {
    let service = Arc::new(service);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.requested() => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        // Keeps the set small; a panic has already been reported by the panic hook.
        while connections.try_join_next().is_some() {}
        let Ok((stream, peer)) = accepted else {
            // It is others who hold what is missing: idle connections, for one.
            service.gate.exhausted();
            sleep(BACK_OFF).await;
            continue;
        };
        let mut handler = handler();
        // A connection that fails ends its own task only, and its handler is dropped with it.
        match service.gate.admit(peer.address) {
            Ok(admitted) => {
                let (service, stop) = (service.clone(), stop.clone());
                connections.spawn(async move {
                    let _admitted = admitted;
                    // Whoever cares why a conversation has failed is on the other side.
                    let _ = converse(stream, peer, &service, &mut handler, stop).await;
                });
            }
            Err(limit) => {
                let words = turn_away(&service, peer, &mut handler, limit);
                drop(handler);
                connections.spawn(say(stream, words));
            }
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if timeout(GRACE, drained).await.is_err() {
        connections.shutdown().await;
    }
}

/// What is said to a peer that is one too many.
fn turn_away<H: Handler>(service: &Service, peer: Peer, handler: &mut H, limit: Limit) -> BytesMut {
    let (reply, mut out, now) = (Reply::TOO_MANY_CONNECTIONS_421, BytesMut::new(), now());
    match start(service.session.clone(), peer, id(), now) {
        Step::Decide(decide) => {
            handler.refused(decide.session(), &reply, Some(limit));
            drop(decide.reply(now, &reply, &mut out));
        }
        // There is no word before the handshake, which would cost more than it is worth.
        Step::Upgrade(upgrade) => handler.refused(upgrade.session(), &reply, Some(limit)),
        _ => {}
    }
    out
}

async fn say(mut stream: Box<dyn Stream>, words: BytesMut) {
    let said = async {
        stream.write_all(&words).await?;
        stream.shutdown().await
    };
    // The buffer of a new socket takes it at once, if the peer is still there.
    let _ = timeout(TURNED_AWAY, said).await;
}

/// The clock of the timers, so that all that a conversation knows of time agrees.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests;
