//! The end of data, as only one of two programs may see it (SMTP smuggling): the relay stands
//! between a client that tries and a sink that must never see more than was said.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::support::client::Client;
use crate::support::conformance;
use crate::support::message::is_refused;
use crate::support::relay::Site;
use crate::support::sink::Sink;

/// Clients at once.
const CLIENTS: usize = 16;
const TRUE_END: &[u8] = b"\r\n.\r\n";

/// What is said in the place of the end of data.
struct Case {
    name: String,
    octets: Vec<u8>,
}

/// What has been accepted: text for each recipient.
type Accepted = Mutex<BTreeMap<String, Vec<u8>>>;

/// The octets of one conversation behind the 354, and what may come of them.
struct Attempt {
    tag: String,
    said: Vec<u8>,
    /// Where the case begins and ends in it.
    case: std::ops::Range<usize>,
}

impl Attempt {
    fn new(tag: String, octets: &[u8]) -> Self {
        let mut said = b"From: a@sender.test\r\nSubject: first\r\n\r\nfirst".to_vec();
        let start = said.len();
        said.extend_from_slice(octets);
        let case = start..said.len();
        said.extend_from_slice(
            format!(
                "MAIL FROM:<second@sender.test>\r\nRCPT TO:<second-{tag}@sink.test>\r\nDATA\r\n\
                 From: a@sender.test\r\nSubject: second\r\n\r\nsecond\r\n.\r\n"
            )
            .as_bytes(),
        );
        Self { tag, said, case }
    }

    /// Where the first true end of data ends.
    fn end(&self) -> usize {
        let found = self.said.windows(TRUE_END.len()).position(|window| window == TRUE_END);
        found.expect("the last five octets are one") + TRUE_END.len()
    }

    fn has_true_end(&self) -> bool {
        self.end() <= self.case.end
    }

    /// Whether the second MAIL stands at the beginning of a line behind a true end of data.
    fn has_second(&self) -> bool {
        self.has_true_end() && matches!(self.said[self.end()..self.case.end], [] | [.., b'\n'])
    }

    /// Says it with cuts at these places, and checks what the relay makes of it.
    fn run(&self, relay: SocketAddr, cuts: &[usize], accepted: &Accepted) {
        let mut client = Client::hello(relay).unwrap();
        let first = format!("first-{}@sink.test", self.tag);
        for (line, code) in
            [("MAIL FROM:<first@sender.test>", 250), (&format!("RCPT TO:<{first}>"), 250), ("DATA", 354)]
        {
            assert_eq!(client.command(line).unwrap().code, code, "{}: {line}", self.tag);
        }
        let mut start = 0;
        for &cut in cuts.iter().chain([&self.said.len()]) {
            // A relay that has refused may be gone before all is said.
            let _ = client.send(&self.said[start..cut]);
            start = cut;
        }
        let _ = client.send(b"QUIT\r\n");
        let mut replies = Vec::new();
        while let Ok(reply) = client.reply() {
            replies.push(reply);
        }
        let codes: Vec<u16> = replies.iter().map(|reply| reply.code).collect();

        let end = self.end();
        let message = &self.said[..end - b".\r\n".len()];
        if is_refused(message) {
            // The connection ends with the refusal: what follows is never read as commands.
            assert!(matches!(codes[..], [500..=599] | [500..=599, 421]), "{}: {replies:?}", self.tag);
        } else if !self.has_true_end() {
            assert_eq!(codes, [250, 221], "{}: {replies:?}", self.tag);
            accepted.lock().unwrap().insert(first, unstuffed(message));
        } else {
            accepted.lock().unwrap().insert(first, unstuffed(message));
            // What follows is not said in the message's place: it is commands, or none.
            let lead = &self.said[end..self.case.end];
            let mut expected = vec![250];
            expected.resize(1 + lead.iter().filter(|&&octet| octet == b'\n').count(), 500);
            if self.has_second() {
                expected.extend([250, 250, 354, 250, 221]);
                assert_eq!(codes, expected, "{}: {replies:?}", self.tag);
                let second = b"From: a@sender.test\r\nSubject: second\r\n\r\nsecond\r\n".to_vec();
                accepted.lock().unwrap().insert(format!("second-{}@sink.test", self.tag), second);
            } else {
                assert_eq!(codes[..2], [250, 500], "{}: {replies:?}", self.tag);
                assert!(!codes.contains(&354), "{}: {replies:?}", self.tag);
            }
        }
    }
}

/// The message without the dot that a line may begin with for transparency (RFC 5321 §4.5.2).
fn unstuffed(said: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    for (at, &octet) in said.iter().enumerate() {
        if octet != b'.' || !said[..at].ends_with(b"\r\n") {
            message.push(octet);
        }
    }
    message
}

/// A message that nothing is wrong with, on a connection of its own.
fn clean(relay: SocketAddr, tag: &str, accepted: &Accepted) {
    let message = b"From: a@sender.test\r\nSubject: clean\r\n\r\n.dot\r\n".to_vec();
    let to = format!("clean-{tag}@sink.test");
    let mut client = Client::hello(relay).unwrap();
    let reply = client.transaction("clean@sender.test", &[&to], &message).unwrap();
    assert_eq!(reply.code, 250, "{tag}: {reply:?}");
    accepted.lock().unwrap().insert(to, message);
}

/// Runs all cases with all the cuts that `chunkings` names for them, each followed by a clean
/// message; returns how many conversations were tried and how many messages came out.
fn run(cases: &[Case], chunkings: fn(&Attempt) -> Vec<Vec<usize>>) -> (usize, usize) {
    let sink = Sink::start();
    let site = Site::new(
        "local_domains = [\"example.test\"]\ntrusted_networks = [\"127.0.0.0/8\"]",
        &format!("[delivery]\nroute = \"smarthost\"\nsmarthost = \"{}\"\n[queue]\nstore = \"memory\"", sink.address()),
    );
    let relay = site.start();
    let (next, tried, accepted) = (AtomicUsize::new(0), AtomicUsize::new(0), Accepted::default());
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let whole = Attempt::new(case.name.clone(), &case.octets);
                    for (index, cuts) in chunkings(&whole).iter().enumerate() {
                        let attempt = Attempt::new(format!("{}-{index}", case.name), &case.octets);
                        // A longer name moves everything behind the case, but not the case.
                        let cuts: Vec<usize> = cuts.iter().copied().filter(|&cut| cut < attempt.said.len()).collect();
                        attempt.run(relay.address(), &cuts, &accepted);
                        tried.fetch_add(1, Ordering::Relaxed);
                    }
                    clean(relay.address(), &case.name, &accepted);
                }
            });
        }
    });

    let accepted = accepted.into_inner().unwrap();
    let came = sink.wait(accepted.len());
    relay.stop();
    assert!(sink.taken().is_empty(), "more has come than was accepted");
    assert_eq!(came.len(), accepted.len());
    for mail in &came {
        let to = mail.to.join(" ");
        let expected = accepted.get(to.trim_matches(['<', '>'])).unwrap_or_else(|| panic!("{to} was never accepted"));
        assert!(mail.data.ends_with(expected), "{to} has changed on its way");
        assert!(!is_refused(&mail.data), "{to}: a bare CR or LF, or a NUL");
    }
    let mut names: Vec<String> = came.iter().map(|mail| mail.to.join(" ")).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), came.len(), "something came twice");
    assert_eq!(sink.bare(), 0, "the relay has sent a bare CR or LF");
    (tried.into_inner(), came.len())
}

/// In one piece, octet by octet, cut at each place around and in the case, and cut at all of them.
fn every_chunking(attempt: &Attempt) -> Vec<Vec<usize>> {
    let places: Vec<usize> = attempt.case.clone().chain([attempt.case.end]).collect();
    let mut all = vec![Vec::new(), (1..attempt.said.len()).collect(), places.clone()];
    all.extend(places.into_iter().map(|place| vec![place]));
    all
}

#[test]
fn d31_c1_5_the_grid_of_ends_of_data() {
    let Some(folder) = conformance() else { return };
    let file = folder.join("smtp/smuggling.jsonl");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut true_ends = 0;
    let cases: Vec<Case> = text
        .lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            let name = row["case"].as_str().unwrap().to_owned();
            let octets = base64(row["end_of_data_b64"].as_str().unwrap());
            let is_true = Attempt::new(name.clone(), &octets).has_true_end();
            assert_eq!(row["contains_true_eod"], is_true, "{name}");
            true_ends += usize::from(is_true);
            Case { name, octets }
        })
        .collect();
    assert_eq!((cases.len(), true_ends), (129, 7));
    let octets: usize = cases.iter().map(|case| case.octets.len()).sum();
    let (tried, came) = run(&cases, every_chunking);
    // Three chunkings, and one for each place.
    assert_eq!(tried, cases.len() * 4 + octets);
    let whole = cases.iter().filter(|case| {
        let attempt = Attempt::new(case.name.clone(), &case.octets);
        !is_refused(&attempt.said[..attempt.end()])
    });
    // Each case has its clean message; what is no bare line end came with every chunking.
    let expected: usize = whole.map(|case| (case.octets.len() + 4) * messages(case)).sum();
    assert_eq!(came, cases.len() + expected);
}

/// How many messages one attempt makes where none is refused.
fn messages(case: &Case) -> usize {
    let attempt = Attempt::new(case.name.clone(), &case.octets);
    1 + usize::from(attempt.has_second())
}

/// What may pass for a line end somewhere, before the dot and behind it: all pairs.
const AROUND: [&[u8]; 28] = [
    b"",
    b"\r",
    b"\n",
    b"\r\n",
    b"\n\r",
    b"\r\r",
    b"\n\n",
    b"\r\r\n",
    b"\r\n\r",
    b"\r\n\n",
    b"\r\n\r\n",
    b"\0",
    b"\0\r\n",
    b"\r\0\n",
    b"\r\n\0",
    b"\x0b",
    b"\x0c",
    b"\r\x0b\n",
    b"\x85",
    b"\xc2\x85",
    b"\xe2\x80\xa8",
    b"\xe2\x80\xa9",
    b"\x8d\x8a",
    b"\r\n ",
    b"\r\n\t",
    b"\r\n.",
    b"\x1a",
    b"\xef\xbb\xbf",
];

#[test]
fn d31_all_pairs_of_what_may_pass_for_a_line_end() {
    let mut cases = Vec::new();
    for (first, before) in AROUND.iter().enumerate() {
        for (second, after) in AROUND.iter().enumerate() {
            cases.push(Case { name: format!("{first}-{second}"), octets: [before, &b"."[..], after].concat() });
        }
    }
    let refused = |case: &&Case| {
        let attempt = Attempt::new(case.name.clone(), &case.octets);
        is_refused(&attempt.said[..attempt.end()])
    };
    let bad = cases.iter().filter(refused).count();
    let true_ends = cases.iter().filter(|case| Attempt::new(case.name.clone(), &case.octets).has_true_end()).count();
    assert_eq!((cases.len(), bad, true_ends), (784, 553, 32));
    let chunkings: fn(&Attempt) -> Vec<Vec<usize>> = |attempt| {
        let places: Vec<usize> = attempt.case.clone().chain([attempt.case.end]).collect();
        vec![Vec::new(), places]
    };
    let (tried, came) = run(&cases, chunkings);
    let taken: usize = cases.iter().filter(|case| !refused(case)).map(|case| 2 * messages(case)).sum();
    assert_eq!((tried, came), (2 * cases.len(), cases.len() + taken));
}

/// Base64 with padding (RFC 4648 §4), as the data has it.
fn base64(text: &str) -> Vec<u8> {
    let digit = |octet: u8| match octet {
        b'A'..=b'Z' => octet - b'A',
        b'a'..=b'z' => octet - b'a' + 26,
        b'0'..=b'9' => octet - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => panic!("{text} is no base64"),
    };
    let digits: Vec<u8> = text.trim_end_matches('=').bytes().map(digit).collect();
    let group = |digits: &[u8]| {
        let bits = digits.iter().enumerate().fold(0_u32, |bits, (at, &digit)| bits | u32::from(digit) << (18 - 6 * at));
        bits.to_be_bytes()[1..digits.len()].to_vec()
    };
    digits.chunks(4).flat_map(group).collect()
}
