//! What an attempt came to, written down: in the queue, in the audit log, to the sender.

use hikyaku_audit as audit;
use hikyaku_dns::Resolver;
use hikyaku_queue::{Attempt, Claimed, Durability, Next, Queue, RcptState, Settlement};

use super::{Delivery, attempt::Result};
use crate::{Route, bounce::Bounce, now, random};

impl<Q: Queue, R: Resolver + 'static> Delivery<Q, R> {
    pub(super) async fn settle(&self, claimed: Claimed, body: Option<&Q::Body>, results: Vec<Result>) {
        let now = now();
        let message = claimed.lease.unit.msg.to_string();
        // The connection that brought the message may be long gone: only `queued` names both.
        let record = |event: audit::Event| self.audit.record(None, Some(&message), event);
        let next = self.schedule.next(now, claimed.attempts + 1, u32::from_be_bytes(random()));
        let relayed = claimed.key != Route::Maildir.key();
        let (mut states, mut failed, mut events) = (Vec::new(), Vec::new(), Vec::<audit::Event>::new());
        for Result { no, path, outcome, by } in results {
            let reply = outcome.reply;
            let mut attempt = Attempt::new(now, reply.clone());
            attempt.host = by.as_ref().map(|remote| remote.host.clone());
            attempt.address = by.as_ref().and_then(|remote| remote.address).map(|address| address.ip());
            let by = attempt.host.clone();
            if reply.is_positive() && !claimed.expired {
                events.push(audit::Delivered { recipient: path, to: by.unwrap_or_default(), reply }.into());
                let state = if relayed { RcptState::Relayed(attempt) } else { RcptState::Delivered(attempt) };
                states.push((no, state));
            } else if reply.is_permanent() || claimed.expired {
                failed.push((no, path, by, attempt));
            } else {
                events.push(audit::Deferred { recipient: path, by, reply, next }.into());
                states.push((no, RcptState::Deferred(attempt)));
            }
        }
        let Self { hostname, keys, routes, schedule, .. } = self;
        let routes = &routes.get();
        let bounce = Bounce { hostname, keys, routes, schedule, now };
        let told = failed.iter().map(|(_, path, _, attempt)| (path.clone(), attempt.clone())).collect();
        let sealed = bounce.seal(&self.queue, &claimed, body, told).await;
        let recipients: Vec<_> = failed.iter().map(|(_, path, ..)| path.clone()).collect();
        let (mut follow_up, mut bounced) = (Vec::new(), None);
        match sealed {
            Ok(sealed) => {
                for (no, path, by, attempt) in failed {
                    events.push(audit::Failed { recipient: path, by, reply: attempt.reply.clone() }.into());
                    let expired = claimed.expired;
                    states.push((no, if expired { RcptState::Expired(attempt) } else { RcptState::Failed(attempt) }));
                }
                if let Some((sealed, to)) = sealed {
                    bounced = Some(audit::Bounced { to, bounce: sealed.id().to_string(), recipients });
                    follow_up.push(sealed);
                }
            }
            // The sender must be told: without the bounce a failure does not become final, it is
            // tried again later. What was delivered is settled all the same.
            Err(error) => {
                self.audit.trouble(&format!("bounce of {message}: {error}"));
                for (no, path, by, attempt) in failed {
                    let reply = attempt.reply.clone();
                    events.push(audit::Deferred { recipient: path, by, reply, next }.into());
                    states.push((no, RcptState::Deferred(attempt)));
                }
            }
        }
        let open = states.iter().any(|(_, state)| !state.is_final());
        let lazy = states.iter().all(|(_, state)| !state.is_final());
        let mut settlement = Settlement::new(if open { Next::RetryAt(next) } else { Next::Finish });
        settlement.results = states;
        settlement.follow_up = follow_up;
        events.into_iter().for_each(record);
        let durability = if lazy { Durability::Lazy } else { Durability::Sync };
        match self.queue.settle(claimed.lease, settlement, durability).await {
            Ok(_) => bounced.into_iter().for_each(|event| record(event.into())),
            // The lease runs out, and then it is delivered again: twice is better than never.
            Err(error) => self.audit.trouble(&format!("settlement of {message}: {error}")),
        }
    }
}
