//! The facts, one struct each.

use std::net::{IpAddr, SocketAddr};

use hikyaku_wire::{ForwardPath, Mailbox, Reply, ReversePath, Timestamp};

use crate::line::{Fields, Object};

/// Defines a struct for each fact, whose fields are the keys of its line in
/// this order, and the enum of all of them.
macro_rules! events {
    ($(
        $(#[$doc:meta])*
        $name:ident = $word:literal {
            $( $(#[$field_doc:meta])* $field:ident: $type:ty, )*
        }
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq)]
            pub struct $name {
                $( $(#[$field_doc])* pub $field: $type, )*
            }

            impl From<$name> for Event {
                fn from(event: $name) -> Self {
                    Self::$name(event)
                }
            }
        )*

        /// A fact that the relay records.
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub enum Event {
            $( $(#[$doc])* $name($name), )*
            /// An event of another version: its word. All of its keys are in
            /// [`Entry::extra`](crate::Entry::extra).
            Unknown(String),
        }

        impl Event {
            /// The word in the key `event`.
            #[must_use]
            pub fn name(&self) -> &str {
                match self {
                    $( Self::$name(_) => $word, )*
                    Self::Unknown(name) => name,
                }
            }

            /// Adds the keys of the event.
            pub(crate) fn write(&self, object: &mut Object<'_>) {
                match self {
                    $( Self::$name(event) => {
                        $( object.field(stringify!($field), &event.$field); )*
                    } )*
                    Self::Unknown(_) => {}
                }
            }

            /// Takes the keys of the event `name` out of `fields`; an event
            /// with keys that are missing or of another form is unknown, and
            /// leaves them there.
            pub(crate) fn read(name: String, fields: &mut Fields<'_>) -> Self {
                let event = match name.as_str() {
                    $( $word => fields.all_or_nothing(|fields| {
                        Some(Self::$name($name {
                            $( $field: fields.take(stringify!($field))?, )*
                        }))
                    }), )*
                    _ => None,
                };
                event.unwrap_or(Self::Unknown(name))
            }
        }
    };
}

events! {
    /// The relay has begun to listen.
    Started = "started" {
        /// The name of this host.
        hostname: String,
        /// The version of the program.
        version: String,
        /// The addresses it listens on.
        listeners: Vec<String>,
    }

    /// The relay has stopped; nothing follows from this process.
    Stopped = "stopped" {
        /// Why.
        reason: String,
    }

    /// A client has connected.
    Connection = "connection" {
        /// The address it connected to, as configured.
        listener: String,
        /// Its own address; `None` for a Unix socket.
        peer: Option<SocketAddr>,
        /// What the listener is for, such as `mx`.
        mode: String,
    }

    /// The connection is encrypted from here on.
    Tls = "tls" {
        /// The version, such as `TLSv1.3`.
        version: String,
        /// The cipher suite.
        cipher: String,
        /// The name that the client asked for.
        server_name: Option<String>,
        /// The digest of the key in the client's certificate, if that is one to be believed.
        spki: Option<String>,
        /// The names in it that a trusted authority vouches for.
        names: Vec<String>,
    }

    /// A client has tried to prove who it is; the reply says whether it has.
    Authentication = "authentication" {
        /// Who it is, or after a failure who it claims to be, if it says so.
        user: Option<String>,
        /// With what: `password`, `scram`, `token` or `certificate`.
        proof: String,
        /// What the client was told.
        reply: Reply,
    }

    /// Files were read anew.
    Reloaded = "reloaded" {
        /// What they hold, such as `users`.
        what: String,
        /// Why what was there before stays, if it does.
        error: Option<String>,
        /// What the relay does differently from now on, where that is known.
        changes: Vec<String>,
    }

    /// The policy has decided at one stage of a session.
    Decision = "decision" {
        /// The stage: `connect`, `hello`, `mail`, `recipient`, `data` or `message`.
        stage: String,
        /// The address of the client.
        peer: Option<IpAddr>,
        /// What the client called itself.
        hello: Option<String>,
        /// Who the client has proved to be.
        user: Option<String>,
        /// The sender, once there is one.
        sender: Option<ReversePath>,
        /// The recipient that was decided on.
        recipient: Option<ForwardPath>,
        /// The rule that decided.
        rule: String,
        /// Its line in the policy; `None` for what decides outside of it.
        line: Option<u64>,
        /// What the client was told.
        reply: Reply,
        /// The stage at which the decision falls for good, if this one is provisional.
        until: Option<String>,
        /// What the policy has asked for besides what stands above, each as `fact=value`:
        /// `spf=fail`, `listed=zen.example=3`.
        facts: Vec<String>,
        /// The rules that only tell, and that match.
        shadows: Vec<String>,
    }

    /// What was found out about a message of another server, before it is decided on: each is the
    /// word of RFC 8601 and the name that it is about, such as `fail example.org`. What was not
    /// asked for is not there.
    Verified = "verified" {
        /// Of the client's address, and its name if it has one.
        iprev: Option<String>,
        /// Of SPF, and the name that the client gave itself.
        helo: Option<String>,
        /// Of SPF, and the sender's domain.
        spf: Option<String>,
        /// Of each signature, its domain and its selector.
        dkim: Vec<String>,
        /// Of the chain of ARC sets, and the last that has sealed it.
        arc: Option<String>,
        /// Of DMARC, and the author's domain.
        dmarc: Option<String>,
        /// The check by which the message is marked as one for quarantine.
        quarantine: Option<String>,
    }

    /// A message goes into the queue: it is there when the client has been told so. A refusal of
    /// the stage `message` behind this line says that it did not get there.
    Queued = "queued" {
        /// The sender of the envelope.
        sender: ReversePath,
        /// The recipients of the envelope.
        recipients: Vec<ForwardPath>,
        /// Octets of the message.
        size: u64,
    }

    /// A delivery of one message to one host was attempted.
    Attempt = "attempt" {
        /// The recipients it was for.
        recipients: Vec<ForwardPath>,
        /// The name of the host, or of the transport.
        host: String,
        /// The address of the host, once it is known.
        address: Option<SocketAddr>,
        /// How many attempts there have been for these recipients, this one included.
        number: u32,
        /// How it ended, if that holds for all of these recipients.
        reply: Option<Reply>,
    }

    /// A message was delivered to one recipient.
    Delivered = "delivered" {
        /// The recipient.
        recipient: ForwardPath,
        /// The host or transport that took it.
        to: String,
        /// What it said, or what stands for it.
        reply: Reply,
    }

    /// A delivery to one recipient will be attempted again.
    Deferred = "deferred" {
        /// The recipient.
        recipient: ForwardPath,
        /// Which host said so; `None` if it was this one.
        by: Option<String>,
        /// Why.
        reply: Reply,
        /// When.
        next: Timestamp,
    }

    /// A delivery to one recipient was given up.
    Failed = "failed" {
        /// The recipient.
        recipient: ForwardPath,
        /// Which host said so; `None` if it was this one.
        by: Option<String>,
        /// Why.
        reply: Reply,
    }

    /// The sender of a message is told of its failure.
    Bounced = "bounced" {
        /// Who is told.
        to: Mailbox,
        /// The identifier of the message that tells it.
        bounce: String,
        /// The recipients it is about.
        recipients: Vec<ForwardPath>,
    }

    /// A person has changed what waits in the queue, or whether a destination is served.
    QueueChanged = "queue_changed" {
        /// Who, such as `uid 0`.
        by: String,
        /// What was done: `hold`, `release`, `retry`, `rekey` or `remove`, or with a destination
        /// `open`, `close` or `pause`.
        action: String,
        /// To what: all that is so, each as `field=value`; nothing where one message, or all, were meant.
        selection: Vec<String>,
        /// The reason, the time or the key that goes with it.
        detail: Option<String>,
        /// To how many units.
        units: u64,
    }

    /// A limit was reached: the line is of the connection that has reached it.
    Limit = "limit" {
        /// The name of the limit.
        name: String,
    }

    /// A connection has ended.
    Closed = "closed" {
        /// Why, such as `quit`, `timeout`, `lost`, `shutdown`.
        reason: String,
        /// Messages that were accepted on it.
        messages: u64,
    }
}
