//! Replies whose text names facts.

use hikyaku_wire::{ForwardPath, Reply, ReversePath};

use crate::{Facts, Finding};

/// Characters of a fact that are printed: a user's name, a peer's word, may have more.
const LIMIT: usize = 255;

/// The reply with the facts that its text names: `%{ip}`, `%{name}`, `%{helo}`, `%{user}`,
/// `%{sender}` and `%{recipient}`, each `unknown` where it is not there.
pub(super) fn expanded(reply: &Reply, facts: &Facts) -> Reply {
    let text = reply.lines().next().unwrap_or_default();
    if !text.contains("%{") {
        return reply.clone();
    }
    let (mut expanded, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("%{") {
        expanded.push_str(before);
        rest = after;
        match after.split_once('}').and_then(|(name, after)| Some((value(name, facts)?, after))) {
            Some((value, after)) => {
                expanded.push_str(&harmless(&value));
                rest = after;
            }
            None => expanded.push_str("%{"),
        }
    }
    expanded.push_str(rest);
    match reply.enhanced() {
        Some(enhanced) => Reply::new(reply.code(), enhanced, expanded),
        None => Reply::plain(reply.code(), expanded),
    }
}

/// A fact as it may be printed: no control characters, so that no line ends in it, and no more than
/// 255 characters.
pub(crate) fn harmless(fact: &str) -> String {
    fact.chars().take(LIMIT).map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// `None`: no fact has this name.
fn value(name: &str, facts: &Facts) -> Option<String> {
    let value = match name {
        "ip" => facts.client.map(|client| client.to_canonical().to_string()),
        "name" => match &facts.name {
            Finding::Is(Some(name)) => Some(name.to_string()),
            _ => None,
        },
        "helo" => facts.hello.as_ref().map(|hello| hello.as_str().to_owned()),
        "user" => facts.user.clone(),
        "sender" => facts.sender.as_ref().map(|sender| match sender {
            ReversePath::Mailbox(mailbox) => mailbox.to_string(),
            ReversePath::Null => "<>".to_owned(),
        }),
        "recipient" => facts.recipient.as_ref().map(|recipient| match recipient {
            ForwardPath::Mailbox(mailbox) => mailbox.to_string(),
            ForwardPath::Postmaster => "postmaster".to_owned(),
        }),
        _ => return None,
    };
    Some(value.unwrap_or_else(|| "unknown".to_owned()))
}
