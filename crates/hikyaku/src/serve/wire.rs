//! The octets of one conversation, in both directions.

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::{Pin, pin},
    task::{Poll, ready},
    time::Duration,
};

use bytes::BytesMut;
use hikyaku_session::server::{Receive, Step};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf},
    sync::watch,
    time::{timeout, timeout_at},
};

use super::channel::Channel;
use crate::{Stop, Stream};

/// How long a peer may take to accept 64 KiB of replies.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long, and for how many octets, a connection is read after our last reply.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_OCTETS: usize = 1 << 20;
/// Octets of a message that one read takes at the most.
const PIECE: usize = 32 * 1024;
/// Octets of commands that one read takes at the most.
const COMMANDS: usize = 4 * 1024;
/// How long a peer may take for a command when there are too many connections.
pub(super) const HURRY: Duration = Duration::from_secs(10);

/// A connection and its buffers, which take no memory while nothing is in them.
pub(super) struct Wire<S> {
    pub(super) io: Channel<S>,
    pub(super) input: BytesMut,
    pub(super) out: BytesMut,
}

impl<S: Stream> Wire<S> {
    pub(super) fn new(io: S) -> Self {
        Self { io: Channel::Plain(io), input: BytesMut::new(), out: BytesMut::new() }
    }

    /// Writes what is owed. A peer that does not take it in time is [`io::ErrorKind::TimedOut`].
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        if !self.out.is_empty() {
            let written = async {
                self.io.write_all_buf(&mut self.out).await?;
                self.io.flush().await
            };
            timeout(WRITE_TIMEOUT, written).await??;
            self.out = BytesMut::new();
        }
        Ok(())
    }

    /// Closes our side and reads what is still on its way, within bounds: unread input would make
    /// the kernel reset the connection, and the last reply would be lost with it.
    pub(super) async fn close(&mut self) {
        let linger = async {
            self.io.shutdown().await?;
            let mut left = LINGER_OCTETS;
            while left > 0 {
                self.input.clear();
                match self.read(COMMANDS).await? {
                    0 => break,
                    read => left = left.saturating_sub(read),
                }
            }
            io::Result::Ok(())
        };
        // A peer that is gone, or goes on sending, has had its time.
        let _ = timeout(LINGER, linger).await;
    }

    /// Reads more; says what the wait has come to.
    pub(super) async fn feed(
        &mut self,
        receive: Receive,
        crowded: &mut watch::Receiver<bool>,
        stop: &mut Stop,
    ) -> Step {
        let most = if receive.in_body() { PIECE } else { COMMANDS };
        loop {
            let hurry = *crowded.borrow_and_update() && !receive.in_body();
            let deadline = if hurry { receive.deadline_within(HURRY) } else { receive.deadline() };
            return tokio::select! {
                biased;
                () = stop.requested(), if !receive.in_transaction() => receive.shut_down(&mut self.out),
                read = timeout_at(deadline.into(), self.read(most)) => match read {
                    Err(_) => receive.timed_out(&mut self.out),
                    // What TLS calls a failure is one: no close_notify, or plain text inside it.
                    Ok(Ok(0) | Err(_)) => receive.closed(),
                    Ok(Ok(_)) => Step::Receive(receive),
                },
                Ok(()) = crowded.changed() => continue,
            };
        }
    }

    /// Takes what there is into `input`, which grows only when there is something.
    async fn read(&mut self, most: usize) -> io::Result<usize> {
        let Self { io, input, .. } = self;
        poll_fn(|cx| {
            if most <= COMMANDS {
                let mut space = [MaybeUninit::uninit(); COMMANDS];
                let mut read = ReadBuf::uninit(&mut space);
                ready!(Pin::new(&mut *io).poll_read(cx, &mut read))?;
                input.extend_from_slice(read.filled());
                return Poll::Ready(Ok(read.filled().len()));
            }
            let held = input.len();
            input.reserve(most);
            let polled = pin!(io.read_buf(input)).poll(cx);
            if polled.is_pending() {
                // The rest of a line is copied, so that it does not keep the block.
                *input = if held == 0 { BytesMut::new() } else { BytesMut::from(&input[..]) };
            }
            polled
        })
        .await
    }
}
