use std::net::IpAddr;

use hikyaku_dns::Resolver;
use hikyaku_message::results::Value;
use hikyaku_wire::Timestamp;

use super::Rules;
use crate::{Lookups, ReverseName, spf};

/// A client and what it says before the message.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// Its address.
    pub address: IpAddr,
    /// The argument of HELO or EHLO.
    pub hello: &'a str,
    /// The path of MAIL without its brackets; empty for the null path.
    pub sender: &'a str,
    /// The name of this host.
    pub receiver: &'a str,
}

/// What is known of a client before the message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientResults {
    /// The address.
    pub address: Option<IpAddr>,
    /// The argument of HELO or EHLO, without what cannot be printed.
    pub hello: Option<Value>,
    /// The path of MAIL, without what cannot be printed; for the null path postmaster at the name
    /// of HELO (RFC 7208 §2.4).
    pub sender: Option<Value>,
    /// The name of its address.
    pub iprev: Option<(IpAddr, ReverseName)>,
    /// SPF of HELO.
    pub helo: Option<spf::Outcome>,
    /// SPF of MAIL FROM.
    pub mail_from: Option<spf::Outcome>,
}

impl ClientResults {
    /// Checks what can be checked at MAIL: SPF of MAIL FROM (RFC 7208 §2.4) and of HELO (§2.3), and
    /// the name of the address.
    ///
    /// Of the lookups of the message some are left for its signatures and its author, and MAIL FROM
    /// comes first: a client whose own records are a maze cannot use up what is needed to find out
    /// that the author is somebody else.
    pub async fn check<R: Resolver>(
        rules: &Rules,
        lookups: &Lookups<'_, R>,
        client: &Client<'_>,
        now: Timestamp,
    ) -> Self {
        let Client { address, hello, sender, receiver } = *client;
        let from = if sender.is_empty() { Value::lossy(&format!("postmaster@{hello}")) } else { Value::lossy(sender) };
        let mut results =
            Self { address: Some(address), hello: Some(Value::lossy(hello)), sender: Some(from), ..Self::default() };
        lookups.hold(rules.held_for_message());
        if rules.spf {
            let question = spf::Question { client: address, hello, sender, receiver, now };
            let mail_from = spf::check(lookups, &question, spf::Identity::MailFrom).await;
            // The null path has asked the same question already.
            results.helo = Some(if sender.is_empty() {
                spf::Outcome { identity: spf::Identity::Helo, ..mail_from.clone() }
            } else {
                spf::check(lookups, &question, spf::Identity::Helo).await
            });
            results.mail_from = Some(mail_from);
        }
        if rules.iprev {
            results.iprev = Some((address, ReverseName::look_up(lookups, address).await));
        }
        lookups.hold(0);
        results
    }
}
