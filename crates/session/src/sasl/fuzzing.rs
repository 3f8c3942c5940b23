//! Moves of one side, of the application, and of whoever sits between, against the other side.

use std::sync::OnceLock;

use hikyaku_wire::{Base64, Challenge, Reply};

use super::{
    Answer, Mechanism, Password, Question, ScramKeys, Secret,
    client::{self, Credentials, Exchange},
    prepare::is_name,
    scram,
    server::{self, Asking, Setup, Turn, Waiting},
};
use crate::{Certificate, Tls};

/// Plays a script of moves against a server, one a line, and checks what must hold whatever they
/// are. The first line says what is played, see [`Game`]; of the others the first octet says what
/// it is:
///
/// `I` the rest is the initial response; without it, nothing is. `C` that of a client who knows the
/// password is, and `c` of one who does not. `R` the rest is the next response. `P` it is that of
/// the client, with the octet that the first octet of the rest counts changed by the second, if
/// there are two. `A` the next answers are, one a letter: `a` alice, `o` somebody else, `k` her
/// keys, `K` somebody else's, `r` no, `2` to `5` a reply.
pub fn sasl_server(data: &[u8]) {
    server_accepts(data);
}

/// Whether the client is let in at the end.
fn server_accepts(data: &[u8]) -> bool {
    let mut lines = data.split(|byte| *byte == b'\n');
    let game = Game::new(lines.next().unwrap_or_default());
    let mut play =
        Play { answers: Vec::new(), answered: None, proof: false, responses: 0, asked: None, accepted: false, game };
    let (mut turn, mut exchange, mut begun) = (None, None, false);
    for line in lines {
        let Some((kind, rest)) = line.split_first() else { continue };
        if begun && turn.is_none() {
            return play.accepted;
        }
        begun |= matches!(kind, b'I' | b'C' | b'c' | b'R' | b'P');
        match (kind, turn.take()) {
            (b'A', before) => {
                play.answers.extend(rest.iter().rev());
                turn = before;
            }
            (b'I', None) => turn = play.started(Some(rest)),
            (b'C' | b'c', None) => {
                let password = if *kind == b'C' { PASSWORD } else { "other" };
                if let Some((initial, started)) = play.game.client(password) {
                    turn = play.started(initial.as_deref());
                    exchange = Some(started);
                }
            }
            (b'R', Some((_, waiting))) => turn = play.respond(waiting, rest, false),
            (b'P', Some((challenge, waiting))) => {
                let response = exchange.as_mut().and_then(|exchange| respond(exchange, &challenge));
                let Some(mut response) = response else { return false };
                let same = !tamper(&mut response, rest);
                turn = play.respond(waiting, &response, same);
            }
            (b'R' | b'P', None) => turn = play.started(None),
            (_, before) => turn = before,
        }
    }
    play.accepted
}

/// Plays a script of moves against a client who knows the password. The first line is that of
/// [`sasl_server`]; of the others the first octet says what it is:
///
/// `C` the rest is a challenge. `S` a server who knows the password gives its next challenge,
/// changed as by `P` of [`sasl_server`]. `A` the server says 235.
pub fn sasl_client(data: &[u8]) {
    client_accepts(data);
}

/// Whether the client believes that it is let in.
fn client_accepts(data: &[u8]) -> bool {
    let mut lines = data.split(|byte| *byte == b'\n');
    let game = Game::new(lines.next().unwrap_or_default());
    let Some((initial, exchange)) = game.client(PASSWORD) else { return false };
    let mut exchange = Some(exchange);
    let mut server = Some(server::start(game.mechanism, game.setup(), initial.as_deref()));
    // What the server says is the server's own, up to here.
    let mut own = true;
    let (mut responses, mut failed, mut proved) = (0, false, false);
    for line in lines {
        let Some((kind, rest)) = line.split_first() else { continue };
        let challenge = match kind {
            b'C' => {
                own = false;
                rest.to_vec()
            }
            b'S' => match server.take().map(|turn| game.resolve(turn)) {
                Some(Turn::Challenge(challenge, waiting)) => {
                    let mut changed = challenge.clone();
                    own &= !tamper(&mut changed, rest);
                    if let Some(response) = exchange.as_mut().and_then(|exchange| respond(exchange, &changed)) {
                        responses += 1;
                        assert!(responses <= 3 && response.len() <= 9213, "few responses, and each fits");
                        proved |= own && challenge.starts_with(b"v=");
                        server = Some(waiting.respond(&response));
                    } else {
                        failed = true;
                    }
                    continue;
                }
                _ => continue,
            },
            b'A' => {
                let Some(exchange) = exchange.take() else { return false };
                let accepted = exchange.accepted().is_ok();
                assert!(!accepted || !game.scram() || proved, "a server that has not proved itself is not believed");
                assert!(!accepted || !failed, "what is over cannot be accepted");
                return accepted;
            }
            _ => continue,
        };
        match exchange.as_mut().and_then(|exchange| respond(exchange, &challenge)) {
            Some(response) => {
                responses += 1;
                assert!(responses <= 3 && response.len() <= 9213, "few responses, and each fits");
            }
            None => failed = true,
        }
        if let Some(exchange) = &exchange {
            assert!(!format!("{exchange:?}").contains(PASSWORD));
        }
    }
    false
}

const PASSWORD: &str = "Pa5$word";
const EXPORTER: [u8; 32] = [0xab; 32];

/// What is played: the mechanism by its first letter (`B` for SCRAM-SHA-256-PLUS, which binds), and
/// `d` delegation, `p` SCRAM-SHA-256-PLUS is offered, `x` there is an exporter, `c` a certificate.
struct Game {
    mechanism: Mechanism,
    secret: Secret,
    delegation: bool,
    offers_plus: bool,
    tls: Tls,
}

struct Play {
    game: Game,
    /// The next of them last.
    answers: Vec<u8>,
    /// Whom the application has named.
    answered: Option<Box<str>>,
    /// The last response was that of a client who knows how.
    proof: bool,
    responses: usize,
    /// The name and the authorization identity that the application was asked about.
    asked: Option<(Option<String>, Option<String>)>,
    accepted: bool,
}

type Waits = Option<(Vec<u8>, Waiting)>;

impl Game {
    fn new(line: &[u8]) -> Self {
        let has = |letter| line.contains(&letter);
        let mechanism = match line.first() {
            Some(b'L') => Mechanism::Login,
            Some(b'S') => Mechanism::ScramSha256,
            Some(b'B') => Mechanism::ScramSha256Plus,
            Some(b'O') => Mechanism::OAuthBearer,
            Some(b'X') => Mechanism::XOAuth2,
            Some(b'E') => Mechanism::External,
            _ => Mechanism::Plain,
        };
        let exporter = has(b'x').then_some(EXPORTER);
        let certificate = has(b'c').then(Certificate::default);
        let tls = Tls { exporter, certificate, ..Tls::default() };
        Self { mechanism, secret: Secret::new([7; 32]), delegation: has(b'd'), offers_plus: has(b'p'), tls }
    }

    fn setup(&self) -> Setup<'_> {
        let Self { secret, delegation, offers_plus, tls, .. } = self;
        Setup { secret, iterations: 4096, delegation: *delegation, offers_plus: *offers_plus, tls: Some(tls) }
    }

    fn scram(&self) -> bool {
        matches!(self.mechanism, Mechanism::ScramSha256 | Mechanism::ScramSha256Plus)
    }

    fn client(&self, password: &str) -> Option<(Option<Vec<u8>>, Exchange)> {
        let (user, password) = ("alice".into(), Password::new(password));
        let credentials = match self.mechanism {
            Mechanism::External => Credentials::Certificate,
            Mechanism::OAuthBearer | Mechanism::XOAuth2 => Credentials::Token { user, token: password },
            _ => Credentials::Password { user, password },
        };
        client::start(self.mechanism, &credentials, self.tls.exporter, self.offers_plus, [3; 18]).ok()
    }

    /// Goes on with what only the application can say, where it says the truth.
    fn resolve(&self, turn: Turn) -> Turn {
        match turn {
            Turn::Ask(asking) => {
                let answer = match asking.question() {
                    Question::ScramKeys { user: "alice", .. } => Answer::Keys { user: "alice".into(), keys: keys() },
                    Question::Password { password, .. } | Question::Token { token: password, .. }
                        if password.as_str() == PASSWORD =>
                    {
                        Answer::Accept("alice".into())
                    }
                    _ => Answer::Reject,
                };
                asking.answer(answer, [9; 18])
            }
            turn => turn,
        }
    }
}

impl Play {
    fn started(&mut self, initial: Option<&[u8]>) -> Waits {
        let turn = server::start(self.game.mechanism, self.game.setup(), initial);
        let tls = &self.game.tls;
        let lacks = match self.game.mechanism {
            Mechanism::External => tls.certificate.is_none(),
            Mechanism::ScramSha256Plus => tls.exporter.is_none(),
            _ => false,
        };
        assert!(!lacks || matches!(turn, Turn::Refused(_)), "nothing to look at, or to bind to");
        self.turn(turn)
    }

    fn respond(&mut self, waiting: Waiting, response: &[u8], proof: bool) -> Waits {
        self.responses += 1;
        assert!(self.responses <= 3, "every exchange ends");
        // The last word of SCRAM is empty and proves nothing anew.
        self.proof = proof || (self.proof && response.is_empty());
        self.turn(waiting.respond(response))
    }

    /// Goes on to what the client has to say, or to the end.
    fn turn(&mut self, mut turn: Turn) -> Waits {
        loop {
            turn = match turn {
                Turn::Challenge(challenge, waiting) => {
                    let line = Base64::encode(&challenge).expect("a challenge fits into base64");
                    assert!(Challenge::new(line).is_ok(), "and into a line");
                    return Some((challenge, waiting));
                }
                Turn::Ask(asking) => self.answer(asking),
                Turn::Accepted(user) => {
                    assert_eq!(self.answered.as_ref(), Some(&user), "whom the application has named, and nobody else");
                    assert!(!self.game.scram() || self.proof, "who has not proved to know the password is not let in");
                    let (claimed, authzid) = self.asked.take().expect("it was asked");
                    let itself = authzid.is_none() || authzid == claimed || authzid.as_deref() == Some(&user);
                    assert!(self.game.delegation || itself, "no one acts for another");
                    self.accepted = true;
                    return None;
                }
                Turn::Refused(reply) => {
                    assert!(reply.is_transient() || reply.is_permanent());
                    return None;
                }
            };
        }
    }

    fn answer(&mut self, asking: Asking) -> Turn {
        assert_eq!(self.asked, None, "one question");
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let (user, authzid) = match asking.question() {
            Question::Password { user, authzid, password } => {
                assert!((1..=255).contains(&password.as_str().len()));
                (Some(user), authzid)
            }
            Question::ScramKeys { user, authzid } => (Some(user), authzid),
            Question::Token { user, token } => {
                assert!(token.as_str().bytes().all(|byte| byte.is_ascii_graphic()) && !token.as_str().is_empty());
                // Whom it acts for is whom it says it is.
                (None, user)
            }
            Question::Certificate { authzid, .. } => (None, authzid),
        };
        assert!(user.is_none_or(is_name) && authzid.is_none_or(is_name), "names are names");
        self.asked = Some((owned(user), owned(authzid)));
        let fits = |keys| keys == self.game.scram();
        let (answer, named) = match self.answers.pop() {
            Some(b'a') => (Answer::Accept("alice".into()), Some("alice").filter(|_| fits(false))),
            Some(b'o') => (Answer::Accept("other".into()), Some("other").filter(|_| fits(false))),
            Some(b'k') => (Answer::Keys { user: "alice".into(), keys: keys() }, Some("alice").filter(|_| fits(true))),
            Some(b'K') => (Answer::Keys { user: "other".into(), keys: keys() }, Some("other").filter(|_| fits(true))),
            Some(b'2') => (Answer::Refuse(Reply::AUTHENTICATED_235), None),
            Some(b'3') => (Answer::Refuse(Reply::START_INPUT_354), None),
            Some(b'4') => (Answer::Refuse(Reply::LOCAL_ERROR_451), None),
            Some(b'5') => (Answer::Refuse(Reply::ACCOUNT_DISABLED_525), None),
            _ => (Answer::Reject, None),
        };
        self.answered = named.map(Into::into);
        asking.answer(answer, [9; 18])
    }
}

/// What a client says. One that would compute for long refuses what cannot be read.
fn respond(exchange: &mut Exchange, challenge: &[u8]) -> Option<Vec<u8>> {
    let much = scram::work(challenge).is_some_and(|iterations| iterations > 5000);
    exchange.respond(if much { b"much" } else { challenge }).ok()
}

/// Whether the octets have been changed, as the script says.
fn tamper(octets: &mut [u8], how: &[u8]) -> bool {
    let [at, by, ..] = how else { return false };
    let length = octets.len().max(1);
    octets.get_mut(usize::from(*at) % length).is_some_and(|octet| {
        *octet ^= by;
        *by != 0
    })
}

fn keys() -> ScramKeys {
    static KEYS: OnceLock<ScramKeys> = OnceLock::new();
    KEYS.get_or_init(|| ScramKeys::derive(PASSWORD, b"sixteen octets..", 4096).expect("within the limits")).clone()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use proptest::prelude::*;

    use super::*;

    fn replay(target: &str, play: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        let mut files = 0;
        for entry in fs::read_dir(folder).expect("the corpus") {
            play(&fs::read(entry.expect("an entry").path()).expect("a seed"));
            files += 1;
        }
        assert!(files > 0, "an empty corpus");
    }

    #[test]
    fn the_corpora_hold() {
        replay("session_sasl_server", sasl_server);
        replay("session_sasl_client", sasl_client);
    }

    /// The scripts get where they are meant to, or nothing would be asserted there.
    #[test]
    fn some_are_let_in() {
        let mut accepted = Vec::new();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
        for (target, accepts) in
            [("session_sasl_server", server_accepts as fn(&[u8]) -> bool), ("session_sasl_client", client_accepts)]
        {
            for entry in fs::read_dir(folder.join(target)).expect("the corpus") {
                let path = entry.expect("an entry").path();
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                if accepts(&fs::read(&path).expect("a seed")) && !name.starts_with("found-") {
                    accepted.push(name);
                }
            }
        }
        accepted.sort();
        let expected = [
            "external",
            "external",
            "login",
            "login",
            "login_client",
            "login_initial_name",
            "login_other_prompts",
            "oauthbearer",
            "oauthbearer",
            "plain",
            "plain",
            "plain_delegation",
            "plain_prompted",
            "plus",
            "plus",
            "scram",
            "scram",
            "scram_not_offered",
            "scram_other_keys",
            "xoauth2",
        ];
        assert_eq!(accepted, expected);
    }

    fn games() -> impl Strategy<Value = String> {
        "[PLSBOXE][dpxc]{0,4}"
    }

    fn moves() -> impl Strategy<Value = Vec<u8>> {
        let known = prop::sample::select(vec![
            "C",
            "c",
            "P",
            "P",
            "R",
            "S",
            "S",
            "A",
            "Aa",
            "Ao",
            "Ak",
            "AK",
            "Ar",
            "A2",
            "A5",
            "Ralice",
            "RPa5$word",
            "I\0alice\0Pa5$word",
            "Ibob\0alice\0Pa5$word",
            "Ialice",
            "I",
            "In,,n=alice,r=AwMDAwMDAwMDAwMDAwMDAwMDAwMD",
            "Iy,,n=alice,r=x",
            "In,a=alice,\u{1}auth=Bearer t\u{1}\u{1}",
            "Iuser=alice\u{1}auth=Bearer t\u{1}\u{1}",
            "Cr=AwMDAwMDAwMDAwMDAwMDAwMDAwMDx,s=c2l4dGVlbiBvY3RldHMuLg==,i=4096",
            "Ce=other-error",
            "CUsername:",
        ]);
        prop_oneof![
            9 => known.prop_map(|line| line.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..60),
            1 => (prop::sample::select(vec![b'P', b'S']), any::<u8>(), any::<u8>()).prop_map(|(kind, at, by)| vec![kind, at, by]),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn any_moves_hold(game in games(), moves in prop::collection::vec(moves(), 0..9)) {
            let script = [game.as_bytes(), b"\n", &moves.join(&b'\n')].concat();
            sasl_server(&script);
            sasl_client(&script);
        }
    }
}
