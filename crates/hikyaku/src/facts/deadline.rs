//! The time that lookups may take together.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use hikyaku_dns::{Answer, Error, Mx, Name, Resolver, Tlsa, Txt};
use tokio::time::{Instant, timeout_at};

tokio::task_local! {
    /// Until when answers are waited for.
    static UNTIL: Instant;
}

/// Makes all lookups of a [`Deadline`] in `work` end in time.
pub(super) async fn within<F: Future>(timeout: Duration, work: F) -> F::Output {
    // Far enough away where it would be later than any time.
    let until = Instant::now().checked_add(timeout).unwrap_or_else(|| Instant::now() + Duration::from_secs(600));
    UNTIL.scope(until, work).await
}

/// A resolver that is waited for only so long: an answer that comes later has not come.
#[derive(Debug)]
pub(super) struct Deadline<R>(pub(super) R);

async fn in_time<T>(lookup: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match UNTIL.try_with(|until| *until) {
        Ok(until) => timeout_at(until, lookup).await.unwrap_or(Err(Error::Timeout)),
        Err(_) => lookup.await,
    }
}

macro_rules! in_time {
    ($($lookup:ident -> $record:ty;)*) => {
        impl<R: Resolver> Resolver for Deadline<R> {
            $(async fn $lookup(&self, name: &Name) -> Result<Answer<$record>, Error> {
                in_time(self.0.$lookup(name)).await
            })*
        }
    };
}

in_time! {
    a -> Ipv4Addr;
    aaaa -> Ipv6Addr;
    mx -> Mx;
    ptr -> Name;
    tlsa -> Tlsa;
    txt -> Txt;
}
