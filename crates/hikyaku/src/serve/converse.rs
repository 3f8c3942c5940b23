//! One conversation: the fold over the steps of `hikyaku_session::server`.

use std::io;

use hikyaku_session::{
    sasl::{Answer, Question},
    server::{Authenticate, Limit, Peer, Session, Stage, Step, Upgrade, Verdicts, start},
};
use hikyaku_wire::{Code, EnhancedCode, Reply};
use tokio::time::{sleep_until, timeout_at};

use super::{
    Handler, Service, now,
    wire::{HURRY, Wire},
};
use crate::{Stop, Stream, id, random};

/// One conversation from its first octet to its end. The gate is asked about logins, not
/// whether the connection may exist.
///
/// # Errors
/// The stream failed, or the peer did not take our replies in time. What belonged to a running
/// transaction has been dropped.
pub async fn converse<S: Stream, H: Handler>(
    io: S,
    peer: Peer,
    service: &Service,
    handler: &mut H,
    mut stop: Stop,
) -> io::Result<()> {
    let mut wire = Wire::new(io);
    let mut crowded = service.gate.crowded();
    let mut login: Option<Login> = None;
    let mut mail: Option<Box<H::Mail>> = None;
    let mut step = start(service.session.clone(), peer, id(), now());
    // What may take long and is rare, or large, is in a box: thousands of conversations that
    // wait for a command must be small.
    loop {
        step = match step {
            Step::Receive(receive) => match receive.process(now(), &mut wire.input, &mut wire.out) {
                Step::Receive(hungry) => {
                    see_login(&mut login, hungry.session(), service, handler);
                    let flushed = wire.flush().await;
                    heard(flushed, hungry.session(), handler)?;
                    wire.feed(hungry, &mut crowded, &mut stop).await
                }
                next => next,
            },
            Step::Flush(flush) => {
                see_login(&mut login, flush.session(), service, handler);
                let flushed = wire.flush().await;
                heard(flushed, flush.session(), handler)?;
                flush.flushed(now())
            }
            Step::Pause(pause) => {
                sleep_until(pause.until().into()).await;
                pause.resume(now())
            }
            Step::Decide(decide) => {
                let session = decide.session();
                see_login(&mut login, session, service, handler);
                let reply = match decide.stage() {
                    Stage::Connect => Box::pin(handler.connect(session)).await,
                    Stage::Hello(name) => Box::pin(handler.hello(session, name)).await,
                    Stage::Mail(command) => match Box::pin(handler.mail(session, command)).await {
                        Ok(begun) => {
                            mail = Some(Box::new(begun));
                            Reply::SENDER_OK_250
                        }
                        Err(reply) => reply,
                    },
                    Stage::Recipient(recipient) => match &mut mail {
                        Some(mail) => Box::pin(handler.recipient(session, mail, recipient)).await,
                        None => Reply::BAD_SEQUENCE_503,
                    },
                };
                decide.reply(now(), &reply, &mut wire.out)
            }
            Step::Authenticate(asked) => {
                let (tried, answer) = Box::pin(answer(&asked, service, handler)).await;
                login = tried;
                asked.answer(now(), answer, random(), &mut wire.out)
            }
            Step::Upgrade(due) => Box::pin(upgrade(due, &mut wire, service, handler, &mut stop)).await,
            Step::Data(data) => {
                let ready = match &mut mail {
                    Some(mail) => Box::pin(handler.data(data.session(), mail)).await,
                    None => Err(Reply::BAD_SEQUENCE_503),
                };
                match ready {
                    Ok(()) => data.accept(now(), &mut wire.out),
                    Err(reply) => data.refuse(now(), &reply, &wire.input, &mut wire.out),
                }
            }
            Step::Body(body) => {
                let taken = match &mut mail {
                    Some(mail) => Box::pin(handler.body(mail, body.piece().clone())).await,
                    None => Err(Reply::BAD_SEQUENCE_503),
                };
                match taken {
                    Ok(()) => body.next(),
                    Err(reply) => body.refuse(reply),
                }
            }
            Step::Message(message) => {
                let verdicts = match mail.take() {
                    Some(mail) => Box::pin(handler.message(message.session(), *mail)).await,
                    None => Verdicts::One(Reply::BAD_SEQUENCE_503),
                };
                message.reply(now(), verdicts, &mut wire.out)
            }
            Step::Refused(refused) => {
                see_login(&mut login, refused.session(), service, handler);
                // A refusal ends the exchange that runs, if one does.
                let tried = login.take();
                if is_failed_login(tried.as_ref(), refused.reply(), refused.limit()) {
                    let user = tried.and_then(|tried| tried.user);
                    service.gate.failed(peer.address, user.as_deref(), now());
                }
                handler.refused(refused.session(), refused.reply(), refused.limit());
                refused.next()
            }
            Step::Ended(ended) => {
                mail = None;
                ended.next()
            }
            Step::Close => {
                wire.flush().await?;
                wire.close().await;
                return Ok(());
            }
        };
    }
}

/// A login whose outcome is not known yet.
struct Login {
    /// Who it is for, if the client says so.
    user: Option<Box<str>>,
    /// It is known already that it has failed: the client of a token is told before the reply.
    counted: bool,
}

/// Remembers and tells of a login that has succeeded, which may be long after the answer.
fn see_login<H: Handler>(login: &mut Option<Login>, session: &Session, service: &Service, handler: &mut H) {
    if let Some(tried) = login.take_if(|_| session.user().is_some()) {
        service.gate.succeeded(session.peer().address, tried.user.as_deref(), now());
        handler.authenticated(session);
    }
}

/// Whose password or token it may be that is guessed. A certificate cannot be guessed: whoever
/// guesses at the user's password does not block it.
pub(super) fn guessed<'a>(question: &Question<'a>) -> Option<&'a str> {
    if matches!(question, Question::Certificate { .. }) { None } else { question.user() }
}

/// A mechanism's verdict, or what the machine says in its place to who has failed too often.
fn is_failed_login(tried: Option<&Login>, reply: &Reply, limit: Option<Limit>) -> bool {
    match limit {
        _ if tried.is_some_and(|tried| tried.counted) => false,
        // What nobody was asked about was no guess.
        Some(Limit::AuthAttempts | Limit::Errors) => tried.is_some(),
        _ => reply.code() == Code::AUTHENTICATION_FAILED_535,
    }
}

/// Tells the application of a peer that does not read; an error ends the conversation.
fn heard<H: Handler>(flushed: io::Result<()>, session: &Session, handler: &mut H) -> io::Result<()> {
    if matches!(&flushed, Err(error) if error.kind() == io::ErrorKind::TimedOut) {
        handler.refused(session, &timed_out("the peer does not read our replies"), Some(Limit::WriteTime));
    }
    flushed
}

fn timed_out(text: &str) -> Reply {
    Reply::new(Code::UNAVAILABLE_421, EnhancedCode::new(4, 4, 2), text.to_owned())
}

/// The application's answer, unless too many have failed: then nobody is asked, so that it takes
/// the same time for users who exist and for those who do not.
async fn answer<H: Handler>(asked: &Authenticate, service: &Service, handler: &mut H) -> (Option<Login>, Answer) {
    let (session, question) = (asked.session(), asked.question());
    let user = guessed(&question);
    match service.gate.may_try(session.peer().address, user, now()) {
        Ok(()) => {
            let answer = handler.authenticate(session, &question).await;
            match &answer {
                // The machine does not tell of it again.
                Answer::Refuse(reply) => {
                    if reply.code() == Code::AUTHENTICATION_FAILED_535 {
                        service.gate.failed(session.peer().address, user, now());
                    }
                    (None, answer)
                }
                _ => {
                    let counted = matches!((&question, &answer), (Question::Token { .. }, Answer::Reject));
                    if counted {
                        service.gate.failed(session.peer().address, user, now());
                    }
                    (Some(Login { user: user.map(Into::into), counted }), answer)
                }
            }
        }
        Err(limit) => {
            let reply = Reply::TOO_MANY_FAILURES_454;
            handler.refused(session, &reply, Some(limit));
            (None, Answer::Refuse(reply))
        }
    }
}

/// The handshake. The stream goes into it, and nothing of it comes out but TLS.
async fn upgrade<S: Stream, H: Handler>(
    due: Upgrade,
    wire: &mut Wire<S>,
    service: &Service,
    handler: &mut H,
    stop: &mut Stop,
) -> Step {
    let (Some(tls), Some(io)) = (&service.tls, wire.io.take()) else {
        handler.refused(due.session(), &no_handshake("there is no certificate"), None);
        return due.failed();
    };
    let mut deadline = due.deadline();
    if *service.gate.crowded().borrow() {
        deadline = deadline.min(now() + HURRY);
    }
    let shaken = tokio::select! {
        biased;
        () = stop.requested() => return due.failed(),
        shaken = timeout_at(deadline.into(), tls.accept(io)) => shaken,
    };
    match shaken {
        Ok(Ok((stream, info))) => {
            wire.io = super::channel::Channel::Tls(Box::new(stream));
            due.established(now(), info, &wire.input)
        }
        Ok(Err(error)) => {
            handler.refused(due.session(), &no_handshake(&error.to_string()), None);
            due.failed()
        }
        Err(_) => {
            handler.refused(due.session(), &timed_out("the TLS handshake takes too long"), Some(Limit::HandshakeTime));
            due.failed()
        }
    }
}

fn no_handshake(why: &str) -> Reply {
    Reply::new(Code::TEMPORARY_AUTH_FAILURE_454, EnhancedCode::new(4, 7, 0), format!("no TLS: {why}"))
}
